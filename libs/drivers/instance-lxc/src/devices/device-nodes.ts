import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { makeNode, readCgroupFile, writeCgroupFile, type LxcTools, type RoostHelper } from '#host';
import { internal, invalid, messageOf } from '#kernel';
import type { InstanceSpec } from '#ports';
import { hostId } from '../idmap.rules.js';
import type { LxcPaths } from '../lxc-paths.js';
import { escapeDeviceName, escapeDevicePart, unescapeDevicePart, type DeviceFile, type DeviceHost, type DeviceParts } from './device-handler.js';

/** A device node as a container shall see it. */
export interface DeviceNode {
  readonly kind: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Absolute path inside. */
  readonly path: string;
  readonly mode: number;
  /** Inside. */
  readonly uid: number;
  readonly gid: number;
}

/** Nodes any privileged container may use: never taken away with a device. */
export const commonDeviceRules: readonly string[] = [
  'b *:* m', 'c *:* m', 'c 136:* rwm', 'c 1:3 rwm', 'c 1:5 rwm', 'c 1:7 rwm', 'c 1:8 rwm', 'c 1:9 rwm', 'c 5:0 rwm', 'c 5:1 rwm', 'c 5:2 rwm',
  'c 10:229 rwm', 'c 10:200 rwm',
];

export function ruleOf({ kind, major, minor }: DeviceNode): string {
  return `${kind} ${major}:${minor} rwm`;
}

/**
 * Device nodes made for containers, in `devices/NAME/KIND.DEVICE.PATH`: owned by whom the container sees as their owner, bound inside. Privileged ones are
 * let through by the devices cgroup besides; for the others ownership is what counts, as in LXD.
 */
export class DeviceNodes {
  constructor(private readonly paths: LxcPaths, private readonly helper: RoostHelper, private readonly lxc: LxcTools) {}

  /** Makes the nodes; what they add to LXC's configuration. `prefix` is `unix`, or what else tells kinds of devices apart. */
  prepare(spec: InstanceSpec, prefix: string, device: string, nodes: readonly DeviceNode[]): DeviceParts {
    return { files: nodes.map((node) => this.make(spec, prefix, device, node)), rules: nodes.map(ruleOf) };
  }

  async plug(host: DeviceHost, prefix: string, device: string, node: DeviceNode): Promise<void> {
    const { spec } = host;
    // A change that was cut off and begins again finds its own work.
    if (this.present(spec.projectName, prefix, device).includes(this.fileOf(prefix, device, node))) await this.helper.unmountInside(host.init.pid, node.path);
    const file = this.make(spec, prefix, device, node);
    try {
      await this.permit(host, ruleOf(node), true);
      await this.helper.mountInside({
        pid: host.init.pid, source: file.source, target: file.target, recursive: false, readonly: false, idmapped: false, propagation: 'private',
        uid: hostId(spec.idmap, 0, 'uid') ?? 0, gid: hostId(spec.idmap, 0, 'gid') ?? 0,
      });
    } catch (error) {
      rmSync(file.source, { force: true });
      throw internal(`Failed to add mount for device inside container: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Takes away the nodes of a device that are there, all or those that `gone` names by their file. */
  async unplug(host: DeviceHost, prefix: string, device: string, gone: (file: string) => boolean = () => true): Promise<void> {
    for (const file of this.present(host.spec.projectName, prefix, device)) {
      if (!gone(file)) continue;
      const path = `${this.paths.devices(host.spec.projectName)}/${file}`;
      const { rdev, kind } = deviceNumber(path);
      await this.helper.unmountInside(host.init.pid, `/${unescapeDevicePart(file.slice(startOf(prefix, device).length))}`);
      rmSync(path, { force: true });
      const rule = `${kind} ${rdev.major}:${rdev.minor} rwm`;
      if (!this.inUse(host.spec.projectName, rule)) await this.permit(host, rule, false);
    }
  }

  /** Files of a device that are there. */
  present(projectName: string, prefix: string, device: string): string[] {
    const start = startOf(prefix, device);
    return this.files(projectName).filter((name) => name.startsWith(start));
  }

  fileOf(prefix: string, device: string, { path }: DeviceNode): string {
    return `${startOf(prefix, device)}${escapeDevicePart(path.replace(/^\/+/, ''))}`;
  }

  /** Removes the nodes of a container that has ended. */
  forget(projectName: string, prefix: string): void {
    for (const name of this.files(projectName)) if (name.startsWith(`${prefix}.`)) rmSync(`${this.paths.devices(projectName)}/${name}`, { force: true });
  }

  private files(projectName: string): string[] {
    const directory = this.paths.devices(projectName);
    return existsSync(directory) ? readdirSync(directory) : [];
  }

  private make(spec: InstanceSpec, prefix: string, device: string, node: DeviceNode): DeviceFile {
    const directory = this.paths.devices(spec.projectName);
    const source = `${directory}/${this.fileOf(prefix, device, node)}`;
    const [uid, gid] = [hostId(spec.idmap, node.uid, 'uid'), hostId(spec.idmap, node.gid, 'gid')];
    if (uid === null || gid === null) throw invalid(`Failed to set up device ownership: ${uid === null ? `uid ${node.uid}` : `gid ${node.gid}`} is not mapped into the instance`);
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    rmSync(source, { force: true });
    makeNode(source, node.kind, node.major, node.minor);
    chownSync(source, uid, gid);
    // After the owner, and whatever the umask left.
    chmodSync(source, node.mode);
    return { source, target: node.path };
  }

  /** Whether another node of the container has the same number. */
  private inUse(projectName: string, rule: string): boolean {
    if (commonDeviceRules.includes(rule)) return true;
    return this.files(projectName).some((name) => {
      const path = `${this.paths.devices(projectName)}/${name}`;
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined || !(status.isCharacterDevice() || status.isBlockDevice())) return false;
      const { rdev, kind } = deviceNumber(path);
      return `${kind} ${rdev.major}:${rdev.minor} rwm` === rule;
    });
  }

  /** Lets a privileged container use a device, or no more; others may by what they own. */
  async permit({ spec, cgroups }: Pick<DeviceHost, 'spec' | 'cgroups'>, rule: string, allowed: boolean): Promise<void> {
    if (spec.idmap.length > 0) return;
    const file = allowed ? 'devices.allow' : 'devices.deny';
    const directory = cgroups['devices'];
    // On v2 LXC's monitor keeps a program in the kernel; it changes it for us.
    if (directory === undefined) await this.lxc.setCgroupItem({ lxcPath: this.paths.lxcPath, name: spec.projectName, item: file, value: rule });
    else if (readCgroupFile(`${directory}/devices.list`) !== null) writeCgroupFile(`${directory}/${file}`, rule);
  }
}

/** `unix.DEVICE.` */
function startOf(prefix: string, device: string): string {
  return `${prefix}.${escapeDeviceName(device)}.`;
}

/** Of a node, with its kind. */
export function deviceNumber(path: string): { rdev: { major: number; minor: number }; kind: 'c' | 'b' } {
  const status = statSync(path);
  const rdev = BigInt(status.rdev);
  // The kernel's packing of `dev_t` as stat(2) shows it (makedev of the C library).
  const major = Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n));
  const minor = Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n));
  return { rdev: { major, minor }, kind: status.isBlockDevice() ? 'b' : 'c' };
}
