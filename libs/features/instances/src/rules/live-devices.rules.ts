import type { ConfigMap } from '#api-types';
import { changedKeys } from './expand.rules.js';

/** Keys that a running instance takes over without its device being replaced, by kind of device. */
const liveKeys: Readonly<Record<string, RegExp>> = {
  disk: /^(limits\.(max|read|write)|size(\.state)?)$/,
  nic: /^(limits\.(ingress|egress|max)|ipv[46]\.(address|routes|routes\.external)|security\.(mac|ipv4|ipv6)_filtering|security\.acls.*)$/,
};

/** Whether a device can become what it is to be while it is in use. */
export function isLiveDevice(before: Readonly<ConfigMap>, after: Readonly<ConfigMap>): boolean {
  const live = liveKeys[after.type ?? ''];
  return before.type === after.type && live !== undefined && changedKeys(before, after).every((key) => live.test(key));
}
