import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { IpBatch, type Ip, type Netlink } from '#host';
import { internal, isTrue, Mutex, randomHex } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import { deviceStartError, escapeDeviceName } from '../devices/device-handler.js';
import type { LxcPaths } from '../lxc-paths.js';
import { writeWhole } from '../whole-files.js';
import type { NicPlan } from '../nic-devices.rules.js';
import { wholeAddress, type InfinibandLinks } from './infiniband-links.js';
import { addressList, ipvlanSettings, nicHostPlan, probedAddresses, type NicHostPlan } from './nic-host.rules.js';
import { applyPortVlans, checkFiltering, portVlansOf } from './port-vlans.js';
import type { LentFunction, VirtualFunctions } from './virtual-functions.js';
import { vlanLinkOf, VlanLinks } from './vlan-links.js';

type HostNames = Readonly<Record<string, string>>;

/** Who has an address answers at once; who does not keeps a start waiting for this long. */
const probePatienceMs = 500;
const lentPattern = /^nic\..*\.json$/;

/** A link of the host that a container has, as it was before; kept in `devices/NAME/nic.DEVICE.json` for whoever brings it back. */
interface LentLink {
  readonly name: string;
  readonly index: number;
  readonly hwaddr: string;
  readonly mtu: number;
  /** The function of a card that it is. */
  readonly vf?: LentFunction;
}

/**
 * The host's side of NICs beside LXC's: whether the parent is there and fit, routes and addresses, links that are lent to a container and come back as they
 * were, and interfaces added to and taken from a running container.
 */
export class NicHost {
  private readonly vlans: VlanLinks;
  private readonly choosing = new Mutex();

  constructor(
    private readonly ip: Ip, private readonly netlink: Netlink, private readonly paths: LxcPaths,
    private readonly functions: VirtualFunctions, private readonly infiniband: InfinibandLinks,
  ) {
    this.vlans = new VlanLinks(ip, { devices: paths.state.devices, stateId: paths.stateId });
  }

  /** @throws in LXD's words, naming the device, when one cannot be started on this host. */
  check(spec: InstanceSpec, nics: readonly NicPlan[]): void {
    for (const nic of nics) {
      try {
        checkParent(nic, configOf(spec, nic.device));
        if (nic.nictype === 'sriov' && !nic.infiniband) this.functions.check(nic.parent);
        if (nic.nictype === 'physical' && nic.infiniband) this.infiniband.check(nic.parent);
      } catch (error) {
        throw deviceStartError(nic.device, error);
      }
    }
  }

  /**
   * The same NICs with the links they hang on as their parents: for each that wants one a function of a card, which is told to treat it so, or a VLAN. An address
   * that a routed NIC is to bring into its parent's network must be nobody's there.
   */
  async choose(spec: InstanceSpec, planned: readonly NicPlan[]): Promise<NicPlan[]> {
    const chosen: NicPlan[] = [];
    const nics: NicPlan[] = [];
    for (const nic of planned) {
      try {
        nics.push(await this.hang(spec, nic));
      } catch (error) {
        throw deviceStartError(nic.device, error);
      }
    }
    // Those that are asked for by name are no others'.
    const named = nics.filter(({ nictype }) => nictype === 'physical').map(({ parent }) => parent);
    for (const nic of nics) {
      if (nic.nictype !== 'sriov') {
        chosen.push(nic);
        continue;
      }
      // One at a time: what is chosen is taken once its file is there.
      const choice = this.choosing.run(() => this.chooseFunction(spec, nic, new Set([...named, ...this.allLent()])));
      chosen.push(await choice.catch((error: unknown) => { throw deviceStartError(nic.device, error); }));
    }
    return chosen;
  }

  /** Remembers links that are about to be lent. Returns what of it is `volatile.*`. */
  async lend(spec: InstanceSpec, nics: readonly NicPlan[]): Promise<Record<string, string>> {
    const volatile: Record<string, string> = {};
    for (const nic of nics) {
      if (nic.kind === 'macvlan' || nic.madeVlan === true) volatile[`volatile.${nic.device}.last_state.created`] = `${nic.madeVlan === true}`;
      if (nic.kind !== 'phys') continue;
      const lent = nic.nictype === 'sriov' ? this.lent(spec.projectName, nic.device) ?? this.lendable(nic.parent) : this.lendable(nic.parent);
      this.remember(spec, nic.device, lent);
      if (nic.infiniband) await this.setInfiniband(nic, lent, configOf(spec, nic.device)['hwaddr'] ?? '');
      for (const [key, value] of Object.entries(volatileOf(lent, nic))) volatile[`volatile.${nic.device}.${key}`] = value;
    }
    return volatile;
  }

  private async hang(spec: InstanceSpec, nic: NicPlan): Promise<NicPlan> {
    if (nic.infiniband) return nic;
    const config = configOf(spec, nic.device);
    const { link, ours } = await this.vlans.ensure(spec.projectName, nic.device, nic.nictype, nic.parent, config);
    if (nic.nictype === 'routed' && link !== '') {
      const [taken] = await this.ip.answering(link, probedAddresses(config), probePatienceMs);
      if (taken !== undefined) {
        await this.vlans.release(spec.projectName, nic.device);
        throw internal(`IP address "${taken}" in use on parent network "${link}"`);
      }
    }
    return { ...nic, parent: link, madeVlan: ours };
  }

  /** The link that a device of an instance has, by its name on the host; null for none. */
  lentName(projectName: string, device: string): string | null {
    return this.lent(projectName, device)?.name ?? null;
  }

  /** Has a link back that could not be handed over. */
  async release(projectName: string, device: string): Promise<void> {
    const lent = this.lent(projectName, device);
    if (lent !== null) {
      await this.bringBack(lent);
      rmSync(this.lentFile(projectName, device), { force: true });
    }
    await this.vlans.release(projectName, device);
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
        if (plan.vlans !== undefined) await applyPortVlans(this.ip, hostNames[device] ?? '', parentOf(after, device), plan.vlans);
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
      if (!lentPattern.test(file)) continue;
      await this.bringBack(JSON.parse(readFileSync(`${directory}/${file}`, 'utf8')) as LentLink);
      rmSync(`${directory}/${file}`, { force: true });
    }
    await this.vlans.release(projectName);
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
      if (nic.mtu !== 0 && !nic.infiniband) batch.setMtu(nic.parent, nic.mtu);
      if (nic.mac !== '') batch.setAddress(nic.parent, nic.mac);
      await this.ip.apply(batch.moveLink(nic.parent, pid, nic.name));
      await this.ip.applyInside(pid, new IpBatch().setUp(nic.name));
    }
  }

  /** Absent is success: the container may have deleted it. */
  async remove(spec: InstanceSpec, pid: number, nic: NicPlan): Promise<void> {
    await this.unplug(spec, pid, nic);
    await this.vlans.release(spec.projectName, nic.device);
  }

  private async unplug(spec: InstanceSpec, pid: number, nic: NicPlan): Promise<void> {
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

  private async bringBack({ name, index, hwaddr, mtu, vf }: LentLink): Promise<void> {
    const restored = vf === undefined ? name : await this.functions.restore(vf, name);
    const link = this.netlink.listLinks().find((found) => found.name === restored || found.index === index);
    if (link === undefined) return; // Virtual ones end with the namespace they were in.
    const batch = new IpBatch();
    if (link.name !== name) batch.setDown(link.name).rename(link.name, name);
    batch.setMtu(name, mtu);
    await this.ip.applyAll(hwaddr === '' ? batch : batch.setAddress(name, hwaddr));
  }

  private lendable(name: string): LentLink {
    const link = this.netlink.listLinks().find((found) => found.name === name);
    if (link === undefined) throw internal(`Parent device '${name}' doesn't exist`);
    // Netlink's reader knows Ethernet's addresses alone.
    return { name, index: link.index, hwaddr: link.mac || addressOf(name), mtu: link.mtu };
  }

  private async chooseFunction(spec: InstanceSpec, nic: NicPlan, taken: ReadonlySet<string>): Promise<NicPlan> {
    // A change that was cut off and begins again has one already; where it is inside, taking the change back is what brings it home.
    const former = this.lentName(spec.projectName, nic.device);
    if (former !== null) {
      this.lendable(former);
      await this.release(spec.projectName, nic.device);
      return this.chooseFunction(spec, nic, new Set([...taken].filter((name) => name !== former)));
    }
    if (nic.infiniband) {
      const link = this.infiniband.free(nic.parent, taken);
      this.remember(spec, nic.device, this.lendable(link));
      return { ...nic, parent: link };
    }
    const config = configOf(spec, nic.device);
    const { id, link } = await this.functions.free(nic.parent, taken);
    const lent: LentLink = { ...this.lendable(link), vf: await this.functions.describe(nic.parent, id) };
    this.remember(spec, nic.device, lent);
    try {
      const name = await this.functions.setUp(lent.vf!, link, lent.hwaddr, config, isTrue(config['security.mac_filtering']));
      // Its driver made the link anew.
      this.remember(spec, nic.device, { ...lent, name, index: this.lendable(name).index });
      return { ...nic, parent: name };
    } catch (error) {
      await this.release(spec.projectName, nic.device);
      throw error;
    }
  }

  /** On the host, as long as the link is there: LXC knows Ethernet's addresses alone. */
  private async setInfiniband({ parent, mtu }: NicPlan, lent: LentLink, hwaddr: string): Promise<void> {
    const batch = new IpBatch();
    if (hwaddr !== '') batch.setAddress(parent, wholeAddress(hwaddr, lent.hwaddr));
    if (mtu !== 0) batch.setMtu(parent, mtu);
    await this.ip.apply(batch);
  }

  /** Names of all links that containers of this member have or wait for. */
  private allLent(): string[] {
    const root = this.paths.state.devices;
    const files = (existsSync(root) ? readdirSync(root) : []).flatMap((name) => readdirSync(`${root}/${name}`).filter((file) => lentPattern.test(file)).map((file) => `${root}/${name}/${file}`));
    return files.map((file) => (JSON.parse(readFileSync(file, 'utf8')) as LentLink).name);
  }

  private remember(spec: InstanceSpec, device: string, lent: LentLink): void {
    mkdirSync(this.paths.devices(spec.projectName), { recursive: true, mode: 0o711 });
    writeWhole(this.lentFile(spec.projectName, device), lent);
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

function volatileOf({ name, hwaddr, mtu, vf }: LentLink, { infiniband, madeVlan }: NicPlan): Record<string, string> {
  const link = { host_name: name, 'last_state.hwaddr': hwaddr, 'last_state.mtu': `${mtu}`, ...(infiniband ? {} : { 'last_state.created': `${madeVlan === true}` }) };
  if (vf === undefined) return link;
  return {
    ...link, 'last_state.vf.parent': vf.parent, 'last_state.vf.id': `${vf.id}`, 'last_state.vf.hwaddr': vf.hwaddr, 'last_state.vf.vlan': `${vf.vlan}`,
    'last_state.vf.spoofcheck': `${vf.spoofcheck}`,
  };
}

function addressOf(link: string): string {
  try {
    return readFileSync(`/sys/class/net/${link}/address`, 'latin1').trim();
  } catch {
    return '';
  }
}

function checkParent({ nictype, parent, infiniband }: NicPlan, config: Readonly<Record<string, string>>): void {
  const exists = existsSync(`/sys/class/net/${parent}`);
  if (parent === '' && (nictype === 'p2p' || nictype === 'routed' || nictype === 'bridged')) return;
  // The quotes are LXD's.
  if (!exists) throw internal(nictype === 'macvlan' || nictype === 'physical' || infiniband ? `Parent device '${parent}' doesn't exist` : `Parent device "${parent}" doesn't exist`);
  // The VLAN of a function is its card's business.
  if (nictype === 'sriov') return;
  if (nictype === 'bridged' && portVlansOf(config) !== null) checkFiltering(parent);
  const link = vlanLinkOf(nictype, parent, config);
  // What is made for it is set as it has to be.
  if (!existsSync(`/sys/class/net/${link}`)) return;
  if (nictype === 'routed') checkRouting(link, config);
  const unset = nictype === 'ipvlan' ? ipvlanSettings(config, link).find((key) => !isSet(key, link)) : undefined;
  if (unset !== undefined) throw internal(`IPVLAN in L3S mode requires sysctl net.${unset}=1`);
}

/** `ipv4.conf.LINK.forwarding`, of a link whose name may hold dots, or of `all`. */
function isSet(key: string, link: string): boolean {
  const [family, setting] = [key.slice(0, 4), key.slice(key.lastIndexOf('.') + 1)];
  return readFileSync(`/proc/sys/net/${family}/conf/${key.includes('.all.') ? 'all' : link}/${setting}`, 'latin1').trim() === '1';
}

function checkRouting(parent: string, config: Readonly<Record<string, string>>): void {
  const need = (key: string): void => {
    if (!isSet(key, parent)) throw internal(`Routed mode requires sysctl net.${key}=1`);
  };
  if (addressList(config, 'ipv4.address').length > 0) need(`ipv4.conf.${parent}.forwarding`);
  if (addressList(config, 'ipv6.address').length === 0) return;
  need('ipv6.conf.all.forwarding');
  need('ipv6.conf.all.proxy_ndp');
}

function plansOf(spec: InstanceSpec, hostNames: HostNames): { device: string; plan: NicHostPlan }[] {
  return spec.devices.filter(({ name, config }) => config['type'] === 'nic' && (hostNames[name] !== undefined || config['nictype'] === 'ipvlan')).map(({ name, config }: DeviceSpec) => {
    const nictype = config['nictype'] || 'bridged';
    return { device: name, plan: nicHostPlan(nictype, config, hostNames[name] ?? '', vlanLinkOf(nictype, parentOf(spec, name), config)) };
  });
}

function parentOf(spec: InstanceSpec, device: string): string {
  return spec.nics.find((network) => network.device === device)?.parent || configOf(spec, device)['parent'] || '';
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
