import type { ConfigMap, DeviceMap, InstanceType } from '#api-types';
import { validateDevices, validateInstanceConfig, type DeviceScope } from '#config-schema';
import { invalid, wrap } from '#kernel';

const deviceTypes = new Set([
  'none', 'nic', 'disk', 'unix-char', 'unix-block', 'unix-hotplug', 'usb', 'gpu', 'infiniband', 'pci', 'proxy', 'tpm',
]);

export interface CheckedInstance {
  readonly type: InstanceType;
  readonly project: string;
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
  readonly expandedConfig: Readonly<ConfigMap>;
  readonly expandedDevices: Readonly<DeviceMap>;
}

export type NetworkLookup = DeviceScope['network'];

/** What a request says, before profiles are applied. Errors in LXD's words. */
export function checkOwn(instance: CheckedInstance, network: NetworkLookup, prefixes: { config: string; devices: string }): void {
  within(prefixes.config, () => validateInstanceConfig(instance.config, { type: instance.type, profile: false, expanded: false }));
  checkDeviceTypes(instance.devices);
  within(prefixes.devices, () => validateDevices(instance.devices, { instanceType: instance.type, expanded: false, project: instance.project, network }));
}

/** The whole, profiles applied; profiles may hold keys of the other kind of instance. */
export function checkExpanded(instance: CheckedInstance, network: NetworkLookup, prefixes: { config: string; devices: string }): void {
  within(prefixes.config, () => validateInstanceConfig(instance.expandedConfig, { type: 'any', profile: false, expanded: true }));
  within(prefixes.devices, () =>
    validateDevices(instance.expandedDevices, { instanceType: instance.type, expanded: true, project: instance.project, network }));
}

function checkDeviceTypes(devices: Readonly<DeviceMap>): void {
  for (const device of Object.values(devices)) {
    if (!deviceTypes.has(device.type ?? '')) throw invalid(`Invalid device type ${device.type ?? ''}`);
  }
}

function within(prefix: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw prefix === '' ? error : wrap(error, prefix);
  }
}
