import type { ConfigMap, DeviceMap } from '#api-types';

/** Whether an instance has a device that another member has nothing for, so that an evacuation leaves it where it is unless told to move it. */
export function isBoundToMember(expandedDevices: Readonly<DeviceMap>): boolean {
  return Object.values(expandedDevices).some((device) => !isEverywhere(device));
}

/** Networks and pools are on all members; what lies in a pool is not, except for the root disk, which moves along. */
function isEverywhere({ type, network, path, source }: Readonly<ConfigMap>): boolean {
  if (type === 'nic') return (network ?? '') !== '';
  return type === 'none' || (type === 'disk' && path === '/' && (source ?? '') === '');
}
