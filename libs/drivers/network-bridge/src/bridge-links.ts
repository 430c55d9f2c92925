import { conflict, invalid, type Logger } from '#kernel';
import { IpBatch, type Ip, type LinkDetails } from '#host';
import type { BridgePlan, TunnelPlan } from './bridge-plan.rules.js';
import { hostOf, sameCidr, subnetOf } from './subnets.rules.js';
import { applySettings, readSetting } from './sysctls.js';

/** Everything a bridge is made of in the kernel: link, addresses, routes, ports that are not instances'. */
export class BridgeLinks {
  constructor(private readonly ip: Ip, private readonly alias: string, private readonly logger: Logger) {}

  isOurs(link: LinkDetails): boolean {
    return link.alias === this.alias;
  }

  /**
   * Makes links, addresses and routes as planned, in one run of `ip` where the bridge exists or IPv6 is on by default. Nothing is run
   * when all is right. `former` is the plan before: of its external ports those no longer planned are let go, of its tunnels those that are the same stay.
   */
  async ensure(plan: BridgePlan, former: BridgePlan | null): Promise<void> {
    const found = this.ip.listLinks().find(({ name }) => name === plan.name);
    if (found !== undefined && !this.isOurs(found)) throw conflict(`Network interface "${plan.name}" already exists`);
    // Switching IPv6 off takes addresses away: what is there is looked at afterwards.
    if (found !== undefined) await applySettings(plan, this.logger);
    const links = this.ip.listLinks();
    const bridge = links.find(({ name }) => name === plan.name);
    this.checkExternal(plan, links);
    const batch = new IpBatch();
    if (bridge === undefined) {
      batch.addBridge({ name: plan.name, hwaddr: plan.hwaddr, mtu: plan.mtu, alias: this.alias });
      if ((await readSetting('ipv6/conf/default/disable_ipv6')) === '1') {
        await this.ip.apply(batch);
        return this.ensure(plan, former);
      }
    } else {
      if (plan.hwaddr !== '' && bridge.hwaddr.toLowerCase() !== plan.hwaddr.toLowerCase()) batch.setAddress(plan.name, plan.hwaddr);
      if (bridge.mtu !== plan.mtu) batch.setMtu(plan.name, plan.mtu);
    }
    this.planAddresses(batch, plan, bridge);
    this.planPorts(batch, plan, links, former);
    await this.planRoutes(batch, plan, bridge);
    await this.ip.apply(batch);
    if (bridge === undefined) await applySettings(plan, this.logger);
  }

  /** First thing that is not as planned, or null. Reads no process's output but the listing passed in. */
  firstFault(plan: BridgePlan, links: readonly LinkDetails[]): string | null {
    const bridge = links.find(({ name }) => name === plan.name);
    if (bridge === undefined) return 'link';
    if (!this.isOurs(bridge)) return 'link';
    if (!bridge.up) return 'link state';
    if (bridge.mtu !== plan.mtu) return 'mtu';
    const missing = wantedAddresses(plan).some((wanted) => !bridge.addresses.some((have) => sameCidr(wanted, cidrOf(have))));
    if (missing) return 'addresses';
    const unplugged = [...plan.externalInterfaces, ...plan.tunnels.map(({ name }) => name)]
      .some((port) => links.some(({ name, master }) => name === port && master !== plan.name));
    if (unplugged) return 'ports';
    return plan.tunnels.some((tunnel) => !links.some(({ name }) => name === tunnel.name)) ? 'tunnels' : null;
  }

  /** Makes those of the links that exist and belong nowhere ports of the bridge. */
  async plugIn(name: string, ports: readonly string[]): Promise<void> {
    const batch = new IpBatch();
    for (const link of this.ip.listLinks()) if (ports.includes(link.name) && link.master === '') batch.setMaster(link.name, name);
    await this.ip.apply(batch);
  }

  /** Deletes bridge and tunnels if they are ours and lets other ports go. */
  async remove(name: string, formerExternal: readonly string[]): Promise<void> {
    const links = this.ip.listLinks();
    const batch = new IpBatch();
    const bridge = links.find((link) => link.name === name);
    if (bridge === undefined || !this.isOurs(bridge)) return;
    for (const port of links.filter(({ master }) => master === name)) {
      if (this.isOurs(port)) batch.deleteLink(port.name);
      else if (formerExternal.includes(port.name)) batch.clearMaster(port.name);
    }
    await this.ip.apply(batch.deleteLink(name));
  }

  /** False when there is no such link of ours (any more). */
  async rename(name: string, newName: string): Promise<boolean> {
    const links = this.ip.listLinks();
    const bridge = links.find((link) => link.name === name);
    if (bridge === undefined || !this.isOurs(bridge)) return false;
    if (links.some((link) => link.name === newName)) throw conflict(`Network interface "${newName}" already exists`);
    const batch = new IpBatch();
    // Their names contain the network's; they are made anew.
    for (const port of links.filter(({ master }) => master === name)) if (this.isOurs(port)) batch.deleteLink(port.name);
    await this.ip.apply(batch.setDown(name).rename(name, newName).setUp(newName));
    return true;
  }

  /** A port with an address of its own would lose the host's connection. */
  private checkExternal(plan: BridgePlan, links: readonly LinkDetails[]): void {
    for (const port of plan.externalInterfaces) {
      const link = links.find(({ name }) => name === port);
      if (link === undefined) this.logger.warn('External interface of the network is missing', { network: plan.name, interface: port });
      else if (link.master !== plan.name && link.addresses.some(({ scope }) => scope === 'global')) {
        throw invalid('Only unconfigured network interfaces can be bridged');
      }
    }
  }

  private planAddresses(batch: IpBatch, plan: BridgePlan, bridge: LinkDetails | undefined): void {
    const wanted = wantedAddresses(plan);
    const present = (bridge?.addresses ?? []).filter(({ scope }) => scope === 'global').map(cidrOf);
    for (const have of present) if (!wanted.some((address) => sameCidr(address, have))) batch.deleteAddress(plan.name, have);
    for (const address of wanted) if (!present.some((have) => sameCidr(address, have))) batch.addAddress(plan.name, address);
    if (bridge === undefined || !bridge.up) batch.setUp(plan.name);
  }

  private planPorts(batch: IpBatch, plan: BridgePlan, links: readonly LinkDetails[], former: BridgePlan | null): void {
    const formerExternal = former?.externalInterfaces ?? [];
    const tunnels = new Set(plan.tunnels.map(({ name }) => name));
    for (const port of links.filter(({ master }) => master === plan.name)) {
      if (this.isOurs(port) && !tunnels.has(port.name)) batch.deleteLink(port.name);
      else if (formerExternal.includes(port.name) && !plan.externalInterfaces.includes(port.name)) batch.clearMaster(port.name);
    }
    for (const port of plan.externalInterfaces) {
      const link = links.find(({ name }) => name === port);
      if (link !== undefined && link.master !== plan.name) batch.setMaster(port, plan.name).setUp(port);
    }
    const same = new Set(plan.mtu === former?.mtu ? former.tunnels.map((tunnel) => JSON.stringify(tunnel)) : []);
    for (const tunnel of plan.tunnels) {
      const stays = same.has(JSON.stringify(tunnel)) && links.some(({ name, master }) => name === tunnel.name && master === plan.name);
      if (!stays) this.planTunnel(batch, plan, tunnel, links);
    }
  }

  /** A tunnel's parameters cannot be changed in place: one of ours that exists already is replaced when the network changes. */
  private planTunnel(batch: IpBatch, plan: BridgePlan, tunnel: TunnelPlan, links: readonly LinkDetails[]): void {
    const existing = links.find(({ name }) => name === tunnel.name);
    if (existing !== undefined && !this.isOurs(existing)) throw conflict(`Network interface "${tunnel.name}" already exists`);
    if (existing !== undefined) batch.deleteLink(tunnel.name);
    if (tunnel.protocol === 'gre') batch.addGretap(tunnel.name, tunnel.local, tunnel.remote);
    else batch.addVxlan({ ...tunnel, parent: tunnel.parent || defaultDevice(links) });
    batch.setAlias(tunnel.name, this.alias).setMtu(tunnel.name, plan.mtu).setMaster(tunnel.name, plan.name).setUp(tunnel.name);
  }

  private async planRoutes(batch: IpBatch, plan: BridgePlan, bridge: LinkDetails | undefined): Promise<void> {
    const present = bridge === undefined ? [] : await this.staticRoutes(plan.name);
    const wanted = plan.routes.map(subnetOf);
    for (const have of present) if (!wanted.some((route) => sameCidr(route, have))) batch.deleteRoute(plan.name, have);
    for (const route of wanted) if (!present.some((have) => sameCidr(route, have))) batch.replaceRoute(plan.name, route);
  }

  private async staticRoutes(name: string): Promise<string[]> {
    const families = await Promise.all((['inet', 'inet6'] as const).map((family) => this.ip.listRoutes(family, ['dev', name, 'proto', 'static'])));
    return families.flat().map(({ destination }) => destination);
  }
}

function wantedAddresses(plan: BridgePlan): string[] {
  return [plan.ipv4, plan.ipv6].filter((address) => address !== '');
}

function cidrOf({ address, prefixLength }: { address: string; prefixLength: number }): string {
  return `${hostOf(address)}/${prefixLength}`;
}

/** The interface multicast leaves by where the tunnel names none: the first with a global address that is no bridge. */
function defaultDevice(links: readonly LinkDetails[]): string {
  const link = links.find(({ kind, addresses }) => kind !== 'bridge' && addresses.some(({ family, scope }) => family === 'inet' && scope === 'global'));
  if (link === undefined) throw invalid('The multicast tunnel needs "interface": no interface of this host has an address');
  return link.name;
}
