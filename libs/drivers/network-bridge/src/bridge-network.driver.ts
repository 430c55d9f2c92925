import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { conflict, KeyedMutex, messageOf, notFound, type Logger, type StateDirectory } from '#kernel';
import { NetworkDriver, type FirewallDriver, type InterfaceState, type Lease, type NetworkSpec, type StaticLease } from '#ports';
import { allowHairpins, type Dnsmasq, type Ip, type LinkDetails } from '#host';
import { BridgeLinks } from './bridge-links.js';
import { addressOf, planBridge, splitList } from './bridge-plan.rules.js';
import { sendRelease } from './dhcp-release.js';
import { DnsmasqService, replaceFile } from './dnsmasq-service.js';
import { interfaceState } from './interface-states.js';
import { StaticLeaseFiles } from './static-leases.js';
import { checkNetworkName, checkNetworkSpec, checkStaticLease } from './spec-check.rules.js';
import { hostOf, subnetOf } from './subnets.rules.js';
import { hasIpv6 } from './sysctls.js';
import { UplinkLinks } from './uplink-links.js';

export interface BridgeNetworkOptions {
  readonly ip: Ip;
  readonly dnsmasq: Dnsmasq;
  readonly firewall: FirewallDriver;
  readonly state: StateDirectory;
  /** Content of the state id file: its alias on a link makes the link ours. */
  readonly stateId: string;
  readonly logger: Logger;
}

/**
 * Managed networks: bridges, and those that are links of the host (`UplinkLinks`). What was applied last is kept in `networks/NET/applied.json`, because some of it (ports that were the host's before)
 * cannot be told from the links themselves.
 */
export class BridgeNetworkDriver extends NetworkDriver {
  private readonly links: BridgeLinks;
  private readonly uplinks: UplinkLinks;
  private readonly services: DnsmasqService;
  private readonly busy = new KeyedMutex();
  /** Ports of each bridge when it was last found whole: a bridge made anew gets them back. */
  private readonly ports = new Map<string, readonly string[]>();
  private warnedOfDrops = false;

  constructor(private readonly options: BridgeNetworkOptions) {
    super();
    this.links = new BridgeLinks(options.ip, `roost:${options.stateId}`, options.logger);
    this.uplinks = new UplinkLinks(options.ip, `roost:${options.stateId}`);
    this.services = new DnsmasqService(options.dnsmasq, options.state, options.logger);
  }

  override async ensureNetwork(network: NetworkSpec): Promise<void> {
    checkNetworkSpec(network);
    return this.busy.run(network.name, () => (isBridge(network) ? this.ensure(network) : this.uplinks.ensure(network)));
  }

  override async reconcileNetworks(networks: readonly NetworkSpec[]): Promise<string[]> {
    const { firewall, ip, logger } = this.options;
    const ipv6 = await hasIpv6();
    const effective = ipv6 ? networks : networks.map(withoutIpv6);
    const [withoutRules, filters] = await Promise.all([firewall.withoutNetworkRules(effective.filter(isBridge)), firewall.restoreNicFilters()]);
    const links = ip.listLinks();
    const restored = filters.map((filter) => `${filter}: NIC filter`);
    for (const network of effective) {
      const fault = await this.faultOf(network, links, withoutRules);
      if (fault === null) {
        this.ports.set(network.name, portsOf(network.name, links));
        if (hasForwards(network)) await allowHairpins(portsOf(network.name, links));
        continue;
      }
      try {
        await this.ensureNetwork(network);
        if (fault === 'link') await this.links.plugIn(network.name, this.ports.get(network.name) ?? []);
        restored.push(`${network.name}: ${fault}`);
      } catch (error) {
        // One network that cannot be mended must not keep the others from it.
        logger.error('Cannot restore network', { network: network.name, fault, error: messageOf(error) });
      }
    }
    await this.warnOfDrops(networks);
    return restored;
  }

  override async removeNetwork(network: NetworkSpec): Promise<void> {
    const { name } = network;
    if (!isBridge(network)) return this.busy.run(name, () => this.uplinks.remove(name));
    checkNetworkName(name);
    return this.busy.run(name, async () => {
      await this.takeDown(name);
      await rm(this.options.state.network(name), { recursive: true, force: true });
    });
  }

  override async stopNetwork(network: NetworkSpec): Promise<void> {
    const { name } = network;
    if (!isBridge(network)) return this.busy.run(name, () => this.uplinks.remove(name));
    checkNetworkName(name);
    return this.busy.run(name, () => this.takeDown(name));
  }

  override async renameNetwork(network: NetworkSpec, newName: string): Promise<void> {
    checkNetworkSpec(network);
    if (!isBridge(network)) return this.busy.run(network.name, () => this.uplinks.rename(network.name, newName));
    checkNetworkName(newName);
    const { state, firewall } = this.options;
    return this.busy.run(network.name, async () => {
      await Promise.all([this.services.stop(network.name), firewall.removeNetworkRules(network.name)]);
      await this.links.rename(network.name, newName);
      await moveDirectory(state.network(network.name), state.network(newName));
      await this.busy.run(newName, () => this.ensure({ ...network, name: newName }));
    });
  }

  override async setStaticLease(networkName: string, lease: StaticLease): Promise<void> {
    checkNetworkName(networkName);
    checkStaticLease(lease);
    return this.busy.run(networkName, async () => {
      const files = new StaticLeaseFiles(this.services.files(networkName).hosts);
      const before = await files.find(lease.project, lease.instance, lease.device);
      const applied = await this.applied(networkName);
      const changed = await files.set(lease, applied?.config['dns.mode'] ?? '');
      if (changed) await this.services.reload(networkName);
      if (applied !== null && before !== null && before.hwaddr !== lease.hwaddr) await this.dropLeases(applied, before.hwaddr);
    });
  }

  override async listLeases({ name }: NetworkSpec): Promise<Lease[]> {
    const now = new Date().getTime() / 1000;
    const leases = (await this.services.leases(name)).filter(({ expiresAt }) => expiresAt === 0 || expiresAt > now);
    return leases.map(({ hostname, hwaddr, address }) => ({ hostname, hwaddr, address, type: 'dynamic' }));
  }

  override async describeInterfaces(name: string): Promise<InterfaceState[]> {
    const links = this.options.ip.listLinks();
    const wanted = name === '' ? links : links.filter((link) => link.name === name);
    if (name !== '' && wanted.length === 0) throw notFound(`Network interface "${name}" not found`);
    return wanted.map((link) => interfaceState(link, links));
  }

  override async listUsedSubnets(): Promise<string[]> {
    const { ip } = this.options;
    const [ipv4, ipv6] = await Promise.all([ip.listRoutes('inet'), ip.listRoutes('inet6')]);
    const addresses = ip.listLinks().flatMap((link) => link.addresses.map(({ address, prefixLength }) => subnetOf(`${address}/${prefixLength}`)));
    const routes = [...ipv4, ...ipv6].map(({ destination }) => destination).filter((destination) => destination !== 'default');
    return [...new Set([...addresses, ...routes.map(subnetOf)])].filter((subnet) => !subnet.startsWith('fe80:'));
  }

  private async ensure(asked: NetworkSpec): Promise<void> {
    const { name } = asked;
    const network = (await hasIpv6()) ? asked : withoutIpv6(asked);
    const plan = planBridge(network);
    const before = await this.applied(name);
    await this.links.ensure(plan, before === null ? null : planBridge(before));
    await this.remember(network);
    await Promise.all([this.options.firewall.ensureNetworkRules(network), this.rewriteLeases(network, before).then(() => this.services.ensure(network))]);
    if (hasForwards(network)) await allowHairpins(portsOf(name, this.options.ip.listLinks()));
  }

  /** Static leases hold names in one `dns.mode` and none in the others. */
  private async rewriteLeases(network: NetworkSpec, before: NetworkSpec | null): Promise<void> {
    const mode = network.config['dns.mode'] ?? '';
    if (before === null || (before.config['dns.mode'] ?? '') === mode) return;
    const files = new StaticLeaseFiles(this.services.files(network.name).hosts);
    const changes = await Promise.all((await files.list()).map((lease) => files.set(lease, mode)));
    if (changes.includes(true)) await this.services.reload(network.name);
  }

  private async faultOf(network: NetworkSpec, links: readonly LinkDetails[], withoutRules: readonly string[]): Promise<string | null> {
    if (!isBridge(network)) return this.uplinks.firstFault(network, links);
    return this.links.firstFault(planBridge(network), links)
      ?? (withoutRules.includes(network.name) ? 'firewall rules' : null)
      ?? ((await this.services.isRight(network)) ? null : 'dnsmasq');
  }

  private async takeDown(name: string): Promise<void> {
    const links = this.options.ip.listLinks();
    const link = links.find((candidate) => candidate.name === name);
    await this.services.stop(name);
    // Rules go by the name of the link; those of a foreign link are another daemon's.
    if (link !== undefined && !this.links.isOurs(link)) return;
    const external = splitList((await this.applied(name))?.config['bridge.external_interfaces']);
    await this.options.firewall.removeNetworkRules(name);
    if (link !== undefined) await this.links.remove(name, external);
  }

  /** Gives back what the MAC still holds: IPv4 by a release, IPv6 (whose client is not ours to play) by editing the file at rest. */
  private async dropLeases(network: NetworkSpec, hwaddr: string): Promise<void> {
    const held = (await this.services.leases(network.name)).filter((lease) => lease.hwaddr === hwaddr);
    const server = hostOf(addressOf(network.config['ipv4.address']));
    for (const { address, clientId } of held) {
      if (!address.includes(':') && server !== '') await sendRelease({ hwaddr, address, clientId, serverAddress: server });
    }
    const addresses = held.map(({ address }) => address).filter((address) => address.includes(':'));
    if (addresses.length === 0) return;
    await this.services.stop(network.name);
    await this.services.dropLeases(network.name, (line) => addresses.some((address) => line.split(' ')[2] === address));
    await this.services.ensure(network);
  }

  private async warnOfDrops(networks: readonly NetworkSpec[]): Promise<void> {
    const [first] = networks.filter(isBridge);
    if (this.warnedOfDrops || first === undefined) return;
    this.warnedOfDrops = true;
    for (const warning of await this.options.firewall.foreignDrops(first.name)) this.options.logger.warn(warning);
  }

  private appliedFile(name: string): string {
    return `${this.options.state.network(name)}/applied.json`;
  }

  private async applied(name: string): Promise<NetworkSpec | null> {
    try {
      return JSON.parse(await readFile(this.appliedFile(name), 'utf8')) as NetworkSpec;
    } catch {
      return null; // Never applied here.
    }
  }

  private async remember(network: NetworkSpec): Promise<void> {
    const { state } = this.options;
    // dnsmasq, no longer root, must reach its hosts files.
    await mkdir(state.networks, { recursive: true, mode: 0o711 });
    await mkdir(state.network(network.name), { recursive: true, mode: 0o711 });
    await replaceFile(this.appliedFile(network.name), `${JSON.stringify(network)}\n`);
  }
}

function isBridge({ type }: NetworkSpec): boolean {
  return type === 'bridge';
}

function hasForwards({ forwards = [] }: NetworkSpec): boolean {
  return forwards.length > 0;
}

function portsOf(bridge: string, links: readonly LinkDetails[]): string[] {
  return links.filter(({ master }) => master === bridge).map(({ name }) => name);
}

/** The network as far as a host without IPv6 can have it. */
function withoutIpv6(network: NetworkSpec): NetworkSpec {
  if (!isBridge(network)) return network;
  return { ...network, config: { ...network.config, 'ipv6.address': 'none' } };
}

/** Safe to repeat: once moved, there is nothing to move. */
async function moveDirectory(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOTEMPTY' || code === 'EEXIST') throw conflict(`Directory "${to}" already exists`, { cause: error });
    if (code !== 'ENOENT') throw error;
  }
}
