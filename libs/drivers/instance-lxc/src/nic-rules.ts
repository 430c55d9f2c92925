import { existsSync, writeFileSync } from 'node:fs';
import { allowHairpins, type Tc } from '#host';
import { internal, invalid, isTrue, messageOf, parseBitSize } from '#kernel';
import type { DeviceSpec, FirewallDriver, InstanceSpec, NicFilter } from '#ports';

type HostNames = Readonly<Record<string, string>>;

/** Rates of a NIC in bits per second; 0 for no limit. `limits.max` stands for both directions, as in LXD. */
export function nicRates({ config }: DeviceSpec): { ingressBits: number; egressBits: number } {
  const both = config['limits.max'] ?? '';
  return { ingressBits: parseBitSize(both || config['limits.ingress'] || ''), egressBits: parseBitSize(both || config['limits.egress'] || '') };
}

/**
 * What a NIC may send, null where nothing is filtered. Filtering addresses needs a reserved one: `invalid` without, because a filter that knows no
 * address would let none through.
 */
export function nicFilter(spec: InstanceSpec, { name, config }: DeviceSpec, hostName: string): NicFilter | null {
  const addresses = (family: 'ipv4' | 'ipv6'): string[] | null => {
    if (!isTrue(config[`security.${family}_filtering`])) return null;
    const address = config[`${family}.address`] ?? '';
    if (address === '') throw invalid(`Device "${name}" needs ${family}.address for security.${family}_filtering`);
    return address === 'none' ? [] : [address];
  };
  const [ipv4Addresses, ipv6Addresses] = [addresses('ipv4'), addresses('ipv6')];
  if (!isTrue(config['security.mac_filtering']) && ipv4Addresses === null && ipv6Addresses === null) return null;
  const hwaddr = config['hwaddr'] || spec.config[`volatile.${name}.hwaddr`] || '';
  return { instance: spec.projectName, device: name, hostName, hwaddr, ipv4Addresses, ipv6Addresses };
}

/**
 * Rates and filters of NICs on the host's end of the cable: queue disciplines for `limits.*`, packet filter chains for `security.*_filtering`, isolation of ports. A NIC
 * that asks for neither costs nothing; one that does, a process.
 */
export class NicRules {
  constructor(private readonly tc: Tc, private readonly firewall: Pick<FirewallDriver, 'ensureNicFilter' | 'removeNicFilter'>) {}

  /** Brings the interfaces of `after` to their rules; those that `before` says have them are left alone. */
  async apply(after: InstanceSpec, hostNames: HostNames, before?: { spec: InstanceSpec; hostNames: HostNames }): Promise<void> {
    const nics = (spec: InstanceSpec): DeviceSpec[] => spec.devices.filter(({ config }) => config['type'] === 'nic');
    for (const device of nics(after)) {
      const hostName = hostNames[device.name];
      if (hostName === undefined) continue;
      const former = before?.hostNames[device.name] === hostName ? nics(before.spec).find(({ name }) => name === device.name) : undefined;
      isolate(device, hostName, former);
      // Of its network, not of its own: addresses are forwarded that it may ask for itself.
      const network = after.nics.find((nic) => nic.device === device.name);
      if (former === undefined && network?.networkConfig['volatile.forwards'] === 'true') await allowHairpins([hostName]);
      await this.limit(device, hostName, former);
      await this.filter(after, device, hostName, former === undefined ? null : nicFilter(before!.spec, former, hostName));
    }
    const kept = new Set(nics(after).map(({ name }) => name));
    if (before !== undefined) await this.forget({ ...before.spec, devices: nics(before.spec).filter(({ name }) => !kept.has(name)) });
  }

  /** Takes away the filters of NICs that are no more; rates go with the interface. */
  async forget(spec: InstanceSpec): Promise<void> {
    for (const device of spec.devices) {
      if (device.config['type'] === 'nic' && nicFilter(spec, device, '') !== null) await this.firewall.removeNicFilter(spec.projectName, device.name);
    }
  }

  private async limit(device: DeviceSpec, hostName: string, former: DeviceSpec | undefined): Promise<void> {
    const rates = nicRates(device);
    const known = former === undefined ? { ingressBits: 0, egressBits: 0 } : nicRates(former);
    if (known.ingressBits === rates.ingressBits && known.egressBits === rates.egressBits) return;
    try {
      await this.tc.setLimits(hostName, rates);
    } catch (error) {
      throw internal(`Failed to set up instance NIC limits of device "${device.name}": ${messageOf(error)}`, { cause: error });
    }
  }

  private async filter(spec: InstanceSpec, device: DeviceSpec, hostName: string, former: NicFilter | null): Promise<void> {
    const wanted = nicFilter(spec, device, hostName);
    if (JSON.stringify(wanted) === JSON.stringify(former)) return;
    if (wanted === null) await this.firewall.removeNicFilter(spec.projectName, device.name);
    else await this.firewall.ensureNicFilter(wanted);
  }
}

/** Isolated ports of a bridge do not reach each other. */
function isolate({ config }: DeviceSpec, hostName: string, former: DeviceSpec | undefined): void {
  const wanted = isTrue(config['security.port_isolation']);
  if (wanted === isTrue(former?.config['security.port_isolation'])) return;
  const file = `/sys/class/net/${hostName}/brport/isolated`;
  if (wanted || existsSync(file)) writeFileSync(file, wanted ? '1' : '0');
}
