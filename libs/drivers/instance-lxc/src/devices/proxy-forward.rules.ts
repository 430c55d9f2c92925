import { internal } from '#kernel';
import type { DeviceSpec, InstanceSpec, ProxyForward } from '#ports';
import { isWildcard, proxyAddress } from './proxy-endpoints.rules.js';

/** The rules that stand for a `proxy` with `nat`. @throws `internal` in LXD's words when the instance has no fixed address to send to. */
export function proxyForward(spec: InstanceSpec, { config }: DeviceSpec): Omit<ProxyForward, 'instance' | 'device'> & { readonly nic: string } {
  const listen = proxyAddress(config['listen'] ?? '');
  const connect = proxyAddress(config['connect'] ?? '');
  const family = listen.address.includes(':') ? 6 : 4;
  const own = spec.devices.flatMap(({ name, config: nic }) => {
    const kind = nic['nictype'] || 'bridged';
    if (nic['type'] !== 'nic' || (kind !== 'bridged' && kind !== 'routed')) return [];
    const addresses = (nic[`ipv${family}.address`] ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '' && text !== 'none');
    return addresses.map((address) => ({ nic: name, address }));
  });
  const wildcard = isWildcard(connect.address);
  const found = wildcard ? own[0] : own.find(({ address }) => address === connect.address);
  if (found === undefined) {
    throw internal(wildcard
      ? `Instance has no static IPv${family} address assigned to be used as the connect IP`
      : `Connect IP "${connect.address}" must be one of the instance's static IPv${family} addresses`);
  }
  return {
    nic: found.nic, protocol: listen.protocol === 'udp' ? 'udp' : 'tcp', family, listenAddress: listen.address, connectAddress: found.address,
    listenPorts: listen.ports, connectPorts: connect.ports,
  };
}
