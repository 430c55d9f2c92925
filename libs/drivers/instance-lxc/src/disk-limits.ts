import { existsSync } from 'node:fs';
import { wrap } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import type { CgroupSetting, LimitHost } from './cgroup-limits.rules.js';
import { diskRates, diskSettings, type DiskRates } from './disk-limits.rules.js';
import type { DiskMounts } from './disk-devices.js';
import { diskUnder, isForeignSource } from './disk-sources.js';
import { deviceStartError } from './devices/device-handler.js';

/** `limits.read`, `limits.write` and `limits.max` of disks: control files for the disks of the host that their files lie on. */
export class DiskLimits {
  constructor(private readonly disks: DiskMounts, private readonly host: Pick<LimitHost, 'v1' | 'v2Controllers'>) {}

  /** @throws naming the device whose limit cannot be kept; those of `known` had none or another before. */
  settings(spec: InstanceSpec, known: readonly DeviceSpec[] = []): CgroupSetting[] {
    return diskSettings(spec.devices.flatMap(({ name, config }): (readonly [string, DiskRates])[] => {
      if (config['type'] !== 'disk' || isForeignSource(config)) return [];
      try {
        const rates = diskRates(config);
        const source = this.disks.sourceOf(spec, { name, config });
        return Object.values(rates).every((rate) => rate === 0) || !existsSync(source) ? [] : [[diskUnder(source), rates]];
      } catch (error) {
        throw known.some((device) => device.name === name) ? wrap(error, `Failed to update device "${name}"`) : deviceStartError(name, error);
      }
    }), this.host);
  }
}
