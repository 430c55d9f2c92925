import { existsSync } from 'node:fs';
import { internal } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import { DeviceHandler, type DeviceHost, type DeviceParts } from './device-handler.js';

/** Types a container may have where the host can: this one cannot, and says what is missing instead of starting without it. */
export class UnsupportedDevices extends DeviceHandler {
  override readonly types = ['tpm', 'infiniband'];

  constructor(private readonly exists: (path: string) => boolean = existsSync) { super(); }

  override async prepare(_spec: InstanceSpec, device: DeviceSpec): Promise<DeviceParts> {
    throw this.reason(device);
  }

  override async add(_host: DeviceHost, device: DeviceSpec): Promise<void> {
    throw this.reason(device);
  }

  /** None was ever added. */
  override async remove(): Promise<void> {}
  override async adopt(): Promise<void> {}
  override async forget(): Promise<void> {}

  private reason({ config }: DeviceSpec): Error {
    if (config['type'] === 'tpm') {
      const missing = !['/usr/bin/swtpm', '/usr/local/bin/swtpm'].some(this.exists);
      return internal(`Failed to validate environment: ${missing ? "Required tool 'swtpm' is missing" : 'TPM devices of containers are not supported on this host'}`);
    }
    const parent = config['parent'] ?? '';
    return internal(this.exists(`/sys/class/net/${parent}`) ? 'InfiniBand devices are not supported on this host' : `Parent device '${parent}' doesn't exist`);
  }
}
