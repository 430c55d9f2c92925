import type { CgroupDirectories, ProcessStamp } from '#host';
import { AppError, wrap } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';

/** A file bound into a container, in terms of LXC's configuration. */
export interface DeviceFile {
  /** On the host. */
  readonly source: string;
  /** Absolute path inside. */
  readonly target: string;
}

/** What devices add to the configuration of a container that is about to start. */
export interface DeviceParts {
  readonly files: readonly DeviceFile[];
  /** `c 1:5 rwm`, for the devices cgroup of privileged containers. */
  readonly rules: readonly string[];
  /** What NVIDIA's hook shall make usable. */
  readonly nvidia?: readonly string[];
}

/** A container that runs. */
export interface DeviceHost {
  readonly spec: InstanceSpec;
  readonly init: ProcessStamp;
  readonly cgroups: CgroupDirectories;
  /** Device name to the host's end of its NIC. */
  readonly hostNames: Readonly<Record<string, string>>;
}

/**
 * Devices of some types other than the root disk and plain NICs. `prepare` runs before LXC starts, `started` when init is there; `add` and `remove` on a
 * running container; `forget` when nothing of it runs any more, without its specification, because nobody may know it by then. `adopt` is for a container
 * found running: what it has is kept, what is missing comes back. All are safe to repeat. Errors bear LXD's words without the device's name.
 */
export abstract class DeviceHandler {
  /** Those it is for; `gpu-mig` is a type of its own. */
  abstract readonly types: readonly string[];

  /** Whether it can come while a container runs. */
  canAdd(_device: DeviceSpec): boolean {
    return true;
  }

  async prepare(_spec: InstanceSpec, _device: DeviceSpec): Promise<DeviceParts> {
    return { files: [], rules: [] };
  }

  async started(_host: DeviceHost, _device: DeviceSpec): Promise<void> {}

  abstract add(host: DeviceHost, device: DeviceSpec): Promise<void>;
  abstract remove(host: DeviceHost, device: DeviceSpec): Promise<void>;
  abstract adopt(host: DeviceHost, device: DeviceSpec): Promise<void>;
  abstract forget(projectName: string): Promise<void>;

  /** Lets go of everything; what containers have stays. */
  close(): void {}
}

/** `Failed to start device "eth0": ...`, once. */
export function deviceStartError(device: string, error: unknown): AppError {
  return wrap(error, `Failed to start device "${device}"`);
}

/** Part of a file name below `devices/NAME`: `-` doubled and `/` as `-`, as in LXD. */
export function escapeDevicePart(text: string): string {
  return text.replaceAll('-', '--').replaceAll('/', '-');
}

/** Of a device's name: it may hold dots, which part the name of a file. */
export function escapeDeviceName(name: string): string {
  return escapeDevicePart(name).replaceAll('.', '%2E');
}

export function unescapeDevicePart(text: string): string {
  return text.replaceAll('--', '\0').replaceAll('-', '/').replaceAll('\0', '-');
}
