import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { IpBatch, type Ip, type Netlink } from '#host';
import { internal, randomHex } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import { deviceStartError, escapeDeviceName } from '../devices/device-handler.js';
import type { LxcPaths } from '../lxc-paths.js';
import type { NicPlan } from '../nic-devices.rules.js';
import { addressList, nicHostPlan, type NicHostPlan } from './nic-host.rules.js';

type HostNames = Readonly<Record<string, string>>;

/** A link of the host that a container has, as it was before; kept in `devices/NAME/nic.DEVICE.json` for whoever brings it back. */
interface LentLink {
  readonly name: string;
  readonly index: number;
  readonly hwaddr: string;
  readonly mtu: number;
}

/**
 * The host's side of NICs beside LXC's: whether the parent is there and fit, routes and addresses, links that are lent to a container and come back as they
 * were, and interfaces added to and taken from a running container.
 */
export class NicHost {
  constructor(private readonly ip: Ip, private readonly netlink: Netlink, private readonly paths: LxcPaths) {}

  /** @throws in LXD's words, naming the device, when one cannot be started on this host. */
  check(spec: InstanceSpec, nics: readonly NicPlan[]): void {
    for (const nic of nics) {
      try {
        checkParent(nic, configOf(spec, nic.device));
      } catch (error) {
        throw deviceStartError(nic.device, error);
      }
    }
  }

  /** Remembers links that are about to be lent. Returns what of it is `volatile.*`. */
  lend(spec: InstanceSpec, nics: readonly NicPlan[]): Record<string, string> {
    const volatile: Record<string, string> = {};
    for (const nic of nics) {
      if (nic.kind === 'macvlan') volatile[`volatile.${nic.device}.last_state.created`] = 'false';
      if (nic.kind !== 'phys') continue;
      const lent = this.lendable(nic.parent);
      mkdirSync(this.paths.devices(spec.projectName), { recursive: true, mode: 0o711 });
      writeFileSync(this.lentFile(spec.projectName, nic.device), JSON.stringify(lent), { mode: 0o600 });
      Object.assign(volatile, {
        [`volatile.${nic.device}.host_name`]: lent.name, [`volatile.${nic.device}.last_state.created`]: 'false',
        [`volatile.${nic.device}.last_state.hwaddr`]: lent.hwaddr, [`volatile.${nic.device}.last_state.mtu`]: `${lent.mtu}`,
      });
    }
    return volatile;
  }

  /** Routes and addresses of the host; those that `before` had and `after` has no more go. */
  async apply(after: InstanceSpec, hostNames: HostNames, before?: { spec: InstanceSpec; hostNames: HostNames }): Promise<void> {
    const wanted = plansOf(after, hostNames);
    const old = before === undefined ? [] : plansOf(before.spec, before.hostNames);
    if (JSON.stringify(wanted) === JSON.stringify(old)) return;
    const kept = new Set(wanted.flatMap(({ plan }) => lastingTexts(plan)));
    await this.ip.applyAll(removal(old, (text) => !kept.has(text)));
    for (const { device, plan } of wanted) {
      try {
        for (const [path, value] of plan.sysctls) if (existsSync(`/proc/sys/net/${path}`)) writeFileSync(`/proc/sys/net/${path}`, value);
        await this.ip.apply(setUp(plan, hostNames[device] ?? ''));
      } catch (error) {
        throw deviceStartError(device, error);
      }
    }
  }

  /** Takes away what outlives a container: routes by bridges, addresses answered for, and brings lent links back. */
  async forget(projectName: string, spec: InstanceSpec | null): Promise<void> {
    // The host's end may be gone by now; what outlives it does not name it.
    if (spec !== null) await this.ip.applyAll(removal(plansOf(spec, Object.fromEntries(spec.devices.map(({ name }) => [name, 'gone']))), () => true));
    const directory = this.paths.devices(projectName);
    if (!existsSync(directory)) return;
    for (const file of readdirSync(directory)) {
      if (!/^nic\..*\.json$/.test(file)) continue;
      await this.bringBack(JSON.parse(readFileSync(`${directory}/${file}`, 'utf8')) as LentLink);
      rmSync(`${directory}/${file}`, { force: true });
    }
  }

  /** The interface appears inside with its name and MAC address, down, as LXD leaves it; a link of the host stays up. */
  async add(pid: number, nic: NicPlan): Promise<void> {
    const parent = (file: string): number => Number(readFileSync(`/sys/class/net/${nic.parent}/${file}`, 'latin1'));
    const mac = nic.mac || `00:16:3e:${randomHex(3).match(/../g)!.join(':')}`;
    if (nic.kind === 'veth') {
      const bridge = nic.nictype === 'bridged' && nic.parent !== '';
      this.netlink.createVeth({
        hostName: nic.hostName, name: nic.name, pid, mac, mtu: nic.mtu !== 0 ? nic.mtu : nic.parent === '' ? 1500 : parent('mtu'), master: bridge ? parent('ifindex') : 0,
      });
    } else if (nic.kind === 'macvlan') {
      await this.ip.apply(new IpBatch().addMacvlanInside(pid, { parent: nic.parent, name: nic.name, hwaddr: mac, mtu: nic.mtu }));
    } else {
      const batch = new IpBatch();
      if (nic.mtu !== 0) batch.setMtu(nic.parent, nic.mtu);
      if (nic.mac !== '') batch.setAddress(nic.parent, nic.mac);
      await this.ip.apply(batch.moveLink(nic.parent, pid, nic.name));
      await this.ip.applyInside(pid, new IpBatch().setUp(nic.name));
    }
  }

  /** Absent is success: the container may have deleted it. */
  async remove(spec: InstanceSpec, pid: number, nic: NicPlan): Promise<void> {
    if (nic.kind === 'veth') return this.netlink.deleteLink(nic.hostName);
    const lent = this.lent(spec.projectName, nic.device);
    const inside = this.netlink.describe(pid).links.find(({ index, mac }) => (lent === null ? mac === nic.mac : index === lent.index));
    if (lent === null) {
      if (inside !== undefined) await this.ip.applyInside(pid, new IpBatch().deleteLink(inside.name));
      return;
    }
    if (inside !== undefined) await this.ip.applyInside(pid, new IpBatch().setDown(inside.name).moveLink(inside.name, process.pid, lent.name));
    await this.bringBack(lent);
    rmSync(this.lentFile(spec.projectName, nic.device), { force: true });
  }

  private async bringBack({ name, index, hwaddr, mtu }: LentLink): Promise<void> {
    const link = this.netlink.listLinks().find((found) => found.name === name || found.index === index);
    if (link === undefined) return; // Virtual ones end with the namespace they were in.
    const batch = new IpBatch();
    if (link.name !== name) batch.setDown(link.name).rename(link.name, name);
    await this.ip.applyAll(batch.setMtu(name, mtu).setAddress(name, hwaddr));
  }

  private lendable(name: string): LentLink {
    const link = this.netlink.listLinks().find((found) => found.name === name);
    if (link === undefined) throw internal(`Parent device '${name}' doesn't exist`);
    return { name, index: link.index, hwaddr: link.mac, mtu: link.mtu };
  }

  private lent(projectName: string, device: string): LentLink | null {
    try {
      return JSON.parse(readFileSync(this.lentFile(projectName, device), 'utf8')) as LentLink;
    } catch {
      return null;
    }
  }

  private lentFile(projectName: string, device: string): string {
    return `${this.paths.devices(projectName)}/nic.${escapeDeviceName(device)}.json`;
  }
}

function configOf(spec: InstanceSpec, device: string): Readonly<Record<string, string>> {
  return spec.devices.find(({ name }) => name === device)?.config ?? {};
}

function checkParent({ nictype, parent }: NicPlan, config: Readonly<Record<string, string>>): void {
  const exists = existsSync(`/sys/class/net/${parent}`);
  if (parent === '' && (nictype === 'p2p' || nictype === 'routed' || nictype === 'bridged')) return;
  // The quotes are LXD's.
  if (!exists) throw internal(nictype === 'macvlan' || nictype === 'physical' ? `Parent device '${parent}' doesn't exist` : `Parent device "${parent}" doesn't exist`);
  if (nictype === 'sriov') throw internal(`Parent device "${parent}" doesn't support SR-IOV`);
  if ((config['vlan'] ?? '') !== '' || (config['vlan.tagged'] ?? '') !== '') checkVlan(nictype, parent, config['vlan'] ?? '');
  if (nictype === 'routed') checkRouting(parent, config);
}

function checkVlan(nictype: string, parent: string, vlan: string): void {
  const filtering = `/sys/class/net/${parent}/bridge/vlan_filtering`;
  if (nictype === 'bridged' && !existsSync(filtering)) throw internal(`Failed getting bridge VLAN status for "${parent}": open ${filtering}: no such file or directory`);
  if (nictype === 'bridged') throw internal(`VLANs of bridge "${parent}" are not supported on this host`);
  throw internal(`Failed to create VLAN interface "${parent}.${vlan}" on "${parent}": VLAN interfaces are not supported on this host`);
}

function checkRouting(parent: string, config: Readonly<Record<string, string>>): void {
  const need = (key: string): void => {
    if (readFileSync(`/proc/sys/net/${key.replaceAll('.', '/').replace(/\/conf\/.*\/([^/]+)$/, `/conf/${key.includes('.all.') ? 'all' : parent}/$1`)}`, 'latin1').trim() !== '1') {
      throw internal(`Routed mode requires sysctl net.${key}=1`);
    }
  };
  if (addressList(config, 'ipv4.address').length > 0) need(`ipv4.conf.${parent}.forwarding`);
  if (addressList(config, 'ipv6.address').length === 0) return;
  need('ipv6.conf.all.forwarding');
  need('ipv6.conf.all.proxy_ndp');
}

function plansOf(spec: InstanceSpec, hostNames: HostNames): { device: string; plan: NicHostPlan }[] {
  return spec.devices.filter(({ name, config }) => config['type'] === 'nic' && hostNames[name] !== undefined).map(({ name, config }: DeviceSpec) => {
    const network = spec.nics.find(({ device }) => device === name);
    const parent = network?.parent || config['parent'] || '';
    return { device: name, plan: nicHostPlan(config['nictype'] || 'bridged', config, hostNames[name]!, parent) };
  });
}

function setUp(plan: NicHostPlan, link: string): IpBatch {
  const batch = new IpBatch();
  for (const address of plan.addresses) batch.replaceAddress(link, address);
  for (const route of plan.routes) batch.replaceInstanceRoute(route);
  for (const { address, link: on } of plan.proxied) batch.addProxyNeighbor(address, on);
  return batch;
}

/** What does not go with the NIC's own link, as texts that tell one from another. */
function lastingTexts({ routes, proxied }: NicHostPlan): string[] {
  return [...routes.filter(({ outlives }) => outlives).map((route) => `${route.subnet} ${route.link}`), ...proxied.map(({ address, link }) => `${address} ${link}`)];
}

function removal(plans: readonly { plan: NicHostPlan }[], unwanted: (text: string) => boolean): IpBatch {
  const batch = new IpBatch();
  for (const { plan } of plans) {
    for (const route of plan.routes) if (route.outlives && unwanted(`${route.subnet} ${route.link}`)) batch.deleteInstanceRoute(route);
    for (const { address, link } of plan.proxied) if (unwanted(`${address} ${link}`)) batch.deleteProxyNeighbor(address, link);
  }
  return batch;
}
