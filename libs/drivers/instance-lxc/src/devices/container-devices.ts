import { internal } from '#kernel';
import type { InstanceSpec, DeviceSpec } from '#ports';
import { deviceStartError, type DeviceFile, type DeviceHandler, type DeviceHost, type DeviceParts } from './device-handler.js';
import { isSlice } from './gpu-slices.js';
import type { HostWatch } from './host-watch.js';
import { followedPath, follows, type NodeDevices } from './node-devices.js';

type Undo = () => Promise<void> | void;

/** All devices with a handler, whatever their type; disks and NICs have their own ways. */
export class ContainerDevices {
  private readonly handlers: ReadonlyMap<string, DeviceHandler>;
  private watch: HostWatch | undefined;
  private following: Promise<void> = Promise.resolve();

  /** `running` are the containers whose devices follow the host's. */
  constructor(private readonly all: readonly DeviceHandler[], private readonly nodes: NodeDevices, private readonly running: () => DeviceHost[]) {
    this.handlers = new Map(all.flatMap((handler) => handler.types.map((type) => [type, handler] as const)));
  }

  /** Before a container starts. What was made before a failure is taken away by `forget`. */
  async prepare(spec: InstanceSpec): Promise<DeviceParts> {
    const files: DeviceFile[] = [];
    const rules: string[] = [];
    const nvidia: string[] = [];
    for (const device of this.of(spec)) {
      const parts = await this.handler(device).prepare(spec, device).catch((error: unknown) => { throw named(device, error); });
      files.push(...parts.files);
      rules.push(...parts.rules);
      nvidia.push(...(parts.nvidia ?? []));
    }
    return { files, rules, nvidia };
  }

  /** When init is there. A proxy's error names no device: LXD's comes from a hook. */
  async started(host: DeviceHost): Promise<void> {
    for (const device of this.of(host.spec)) await this.handler(device).started(host, device);
    this.rewatch();
  }

  /** Removes and adds what differs. What was done is put on `undos`. */
  async change(host: DeviceHost, after: InstanceSpec, undos: Undo[]): Promise<void> {
    const next = { ...host, spec: after };
    const { removed, added } = deviceChanges(this.of(host.spec), this.of(after));
    for (const device of removed) {
      await this.handler(device).remove(host, device);
      undos.push(() => this.handler(device).add(host, device));
    }
    for (const device of added) {
      if (!this.handler(device).canAdd(device)) throw internal(`Failed to add device "${device.name}": Device cannot be added when instance is running`);
      undos.push(() => this.handler(device).remove(next, device));
      await this.handler(device).add(next, device).catch((error: unknown) => { throw deviceStartError(device.name, error); });
    }
  }

  /** Of a container that has ended, or did not come up. */
  async forget(projectName: string): Promise<void> {
    for (const handler of this.all) await handler.forget(projectName);
    this.rewatch();
  }

  /** Containers that ran before this agent did: what they have is kept, what is missing comes back. */
  async adopt(watch: HostWatch): Promise<void> {
    this.watch = watch;
    for (const host of this.running()) for (const device of this.of(host.spec)) await this.handler(device).adopt(host, device);
    this.rewatch();
  }

  /** The host's devices may have changed. One look at a time; it looks at the present, so calls that come together are one. */
  follow(): Promise<void> {
    this.following = this.following.then(async () => {
      for (const host of this.running()) for (const device of this.of(host.spec)) if (follows(device)) await this.nodes.follow(host, device);
      this.rewatch();
    });
    return this.following;
  }

  /** Watches what the devices of running containers follow. */
  rewatch(): void {
    const followed = this.running().flatMap(({ spec }) => this.of(spec).filter(follows));
    const paths = followed.map(followedPath);
    this.watch?.want(paths.filter((path) => path !== null), paths.some((path) => path === null));
  }

  close(): void {
    this.watch?.close();
    for (const handler of this.all) handler.close();
  }

  private of(spec: InstanceSpec): DeviceSpec[] {
    return spec.devices.filter((device) => this.handlers.has(typeOf(device)));
  }

  private handler(device: DeviceSpec): DeviceHandler {
    return this.handlers.get(typeOf(device))!;
  }
}

function typeOf(device: DeviceSpec): string {
  return isSlice(device) ? 'gpu-mig' : device.config['type'] ?? '';
}

/** Devices whose configuration differs count as removed and added. */
export function deviceChanges(before: readonly DeviceSpec[], after: readonly DeviceSpec[]): { removed: DeviceSpec[]; added: DeviceSpec[] } {
  const text = ({ name, config }: DeviceSpec): string => JSON.stringify([name, Object.entries(config).sort()]);
  const [old, wanted] = [new Set(before.map(text)), new Set(after.map(text))];
  return { removed: before.filter((device) => !wanted.has(text(device))), added: after.filter((device) => !old.has(text(device))) };
}

/** Some errors name the device by themselves. */
function named(device: DeviceSpec, error: unknown): Error {
  const known = deviceStartError(device.name, error);
  return error instanceof Error && error.message.startsWith(`Failed to start device "${device.name}": `) ? error : known;
}
