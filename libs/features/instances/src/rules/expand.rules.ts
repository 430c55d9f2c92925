import type { ConfigMap, DeviceMap } from '#api-types';
import { expandProfiles, withoutEmpty } from '#config-schema';

export interface Expandable {
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
}

/** Go writes maps with their keys sorted; so does everything that leaves this feature. */
export function sorted<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  const keys = Object.keys(map);
  for (let i = 1; i < keys.length; i++) {
    // Rows are stored sorted, so that this copy is rarely needed.
    if (keys[i - 1]! > keys[i]!) return Object.fromEntries(keys.sort().map((key) => [key, map[key]!]));
  }
  return map as Record<string, T>;
}

/** Profiles in their order, then the instance's own keys and devices, all sorted. */
export function expand(profiles: readonly Expandable[], own: Expandable): { config: ConfigMap; devices: DeviceMap } {
  const { config, devices } = expandProfiles(profiles, own.config, own.devices);
  return { config: sorted(config), devices: sorted(Object.fromEntries(Object.entries(devices).map(([name, device]) => [name, sorted(device)]))) };
}

/** A device map in the order it is stored and shown; devices keep no empty options. */
export function normalizeDevices(devices: Readonly<DeviceMap>): DeviceMap {
  return sorted(Object.fromEntries(Object.entries(devices).map(([name, device]) => [name, sorted(withoutEmpty(device))])));
}

/** Names of NICs, in order. */
export function nicNames(devices: Readonly<DeviceMap>): string[] {
  return Object.keys(devices).filter((name) => devices[name]!.type === 'nic');
}

/** Names whose value differs between two maps. */
export function changedKeys(before: Readonly<ConfigMap>, after: Readonly<ConfigMap>): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]);
}
