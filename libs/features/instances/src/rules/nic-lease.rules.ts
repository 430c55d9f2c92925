import type { ConfigMap } from '#api-types';
import type { StaticLease } from '#ports';

/** What DHCP and DNS know of a NIC. */
export function nicLease(
  instance: { readonly project: string; readonly name: string }, device: string, config: Readonly<ConfigMap>, instanceConfig: Readonly<ConfigMap>,
): StaticLease {
  const address = (value: string | undefined): string => (value === undefined || value === 'none' ? '' : value);
  return {
    project: instance.project, instance: instance.name, device, hwaddr: config.hwaddr || (instanceConfig[`volatile.${device}.hwaddr`] ?? ''),
    ipv4Address: address(config['ipv4.address']), ipv6Address: address(config['ipv6.address']),
  };
}
