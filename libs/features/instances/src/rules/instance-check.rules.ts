import type { ConfigMap, DeviceMap, InstanceType } from '#api-types';
import { validateDevices, validateInstanceConfig, type DeviceScope } from '#config-schema';
import { conflict, invalid, wrap } from '#kernel';

const deviceTypes = new Set([
  'none', 'nic', 'disk', 'unix-char', 'unix-block', 'unix-hotplug', 'usb', 'gpu', 'infiniband', 'pci', 'proxy', 'tpm',
]);

export interface CheckedInstance {
  readonly type: InstanceType;
  /** Whose networks it may name: its own or `default`. */
  readonly networkProject: string;
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
  readonly expandedConfig: Readonly<ConfigMap>;
  readonly expandedDevices: Readonly<DeviceMap>;
}

export type NetworkLookup = DeviceScope['network'];

/** What a request says, before profiles are applied. Errors in LXD's words. */
export function checkOwn(instance: CheckedInstance, network: NetworkLookup, prefixes: { config: string; devices: string }): void {
  within(prefixes.config, () => validateInstanceConfig(instance.config, { type: instance.type, profile: false, expanded: false }));
  within(prefixes.devices, () => validateDevices(instance.devices, { instanceType: instance.type, expanded: false, project: instance.networkProject, network }));
}

/** The whole, profiles applied; profiles may hold keys of the other kind of instance. */
export function checkExpanded(instance: CheckedInstance, network: NetworkLookup, prefixes: { config: string; devices: string }): void {
  within(prefixes.config, () => validateInstanceConfig(instance.expandedConfig, { type: 'any', profile: false, expanded: true }));
  within(prefixes.devices, () =>
    validateDevices(instance.expandedDevices, { instanceType: instance.type, expanded: true, project: instance.networkProject, network }));
}

/** A new instance's devices; those of a change are told by the other checks. */
export function checkDeviceTypes(devices: Readonly<DeviceMap>): void {
  for (const device of Object.values(devices)) {
    if (!deviceTypes.has(device.type ?? '')) throw invalid(`Invalid device type ${device.type ?? ''}`);
  }
}

/** A network knows an instance by one name, so a second NIC cannot be added to it. @throws `conflict` in LXD's words. */
export function checkAddedNics(instance: string, before: Readonly<DeviceMap>, after: Readonly<DeviceMap>, network: NetworkLookup): void {
  const joined = (device: Readonly<ConfigMap> | undefined): string => {
    if (device?.type !== 'nic') return '';
    // A managed bridge may be named as any other.
    return device.network || (device.nictype === 'bridged' && network(device.parent ?? '')?.type === 'bridge' ? (device.parent ?? '') : '');
  };
  for (const [name, device] of Object.entries(after)) {
    const same = joined(device);
    if (same === '' || joined(before[name]) === same) continue;
    const taken = Object.entries(after).some(([other, config]) => other !== name && joined(config) === same);
    if (taken) throw conflict(`Failed add validation for device "${name}": Instance DNS name "${instance}" already used on network`);
  }
}

function within(prefix: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw prefix === '' ? error : wrap(error, prefix);
  }
}
