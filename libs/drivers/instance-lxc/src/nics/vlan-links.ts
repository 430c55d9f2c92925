import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { IpBatch, type Ip } from '#host';
import { internal, isTrue, messageOf, Mutex } from '#kernel';
import { escapeDeviceName } from '../devices/device-handler.js';

type Config = Readonly<Record<string, string>>;

/** NICs that hang on a link of the host, of which they may want a VLAN. */
const onLinks = new Set(['macvlan', 'ipvlan', 'physical', 'routed']);

/** The link a NIC hangs on: its parent, or the VLAN of it. */
export function vlanLinkOf(nictype: string, parent: string, config: Config): string {
  const vlan = config['vlan'] ?? '';
  return parent !== '' && vlan !== '' && onLinks.has(nictype) ? `${parent}.${vlan}` : parent;
}

/** Where instances keep what they use, and whose a link is. */
export interface VlanPlace {
  /** One directory for each instance's devices. */
  readonly devices: string;
  readonly stateId: string;
  readonly sysctls?: string;
}

/**
 * Links of VLANs that NICs hang on. One that the host has is used as it is; one made here bears the state id and goes with the last NIC that uses it: every NIC
 * has a file `vlan.DEVICE` that names its link. One work at a time: two instances may want a link at once, or one the link that another is about to give up.
 */
export class VlanLinks {
  private readonly changing = new Mutex();

  constructor(private readonly ip: Pick<Ip, 'addVlan' | 'apply' | 'applyAll' | 'listLinks'>, private readonly place: VlanPlace) {}

  /** The link by name, and whether it is ours. @throws in LXD's words where the kernel has no VLANs. */
  async ensure(instance: string, device: string, nictype: string, parent: string, config: Config): Promise<{ link: string; ours: boolean }> {
    const link = vlanLinkOf(nictype, parent, config);
    if (link === parent) return { link, ours: false };
    return this.changing.run(() => this.take({ instance, device, nictype, parent, link }, config));
  }

  private async take({ instance, device, nictype, parent, link }: Readonly<Record<'instance' | 'device' | 'nictype' | 'parent' | 'link', string>>, config: Config): Promise<{ link: string; ours: boolean }> {
    const directory = `${this.place.devices}/${instance}`;
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    // Before the link is there: whoever is cut off here finds what to remove.
    writeFileSync(`${directory}/${fileOf(device)}`, link, { mode: 0o600 });
    const found = this.ip.listLinks().find(({ name }) => name === link);
    if (found !== undefined) return { link, ours: found.alias === this.alias };
    try {
      await this.ip.addVlan({ parent, id: config['vlan'] ?? '', gvrp: isTrue(config['gvrp']) });
    } catch (error) {
      rmSync(`${directory}/${fileOf(device)}`, { force: true });
      throw internal(`Failed to create VLAN interface "${link}" on "${parent}": ${messageOf(error)}`, { cause: error });
    }
    await this.ip.apply(new IpBatch().setAlias(link, this.alias).setUp(link));
    this.set(`ipv6/conf/${link}/accept_ra`, '0');
    if (nictype === 'routed') for (const family of ['ipv4', 'ipv6']) this.set(`${family}/conf/${link}/forwarding`, '1');
    return { link, ours: true };
  }

  /** One NIC, or all of an instance, are done with their links. */
  async release(instance: string, device?: string): Promise<void> {
    const directory = `${this.place.devices}/${instance}`;
    await this.changing.run(async () => {
      const files = listed(directory).filter((file) => (device === undefined ? file.startsWith('vlan.') : file === fileOf(device)));
      for (const file of files) await this.giveUp(`${directory}/${file}`);
    });
  }

  private async giveUp(file: string): Promise<void> {
    const link = readFileSync(file, 'utf8');
    rmSync(file, { force: true });
    const ours = this.ip.listLinks().some(({ name, alias }) => name === link && alias === this.alias);
    if (ours && !this.used().has(link)) await this.ip.applyAll(new IpBatch().deleteLink(link));
  }

  private used(): Set<string> {
    const files = listed(this.place.devices).flatMap((name) => listed(`${this.place.devices}/${name}`).filter((file) => file.startsWith('vlan.')).map((file) => `${this.place.devices}/${name}/${file}`));
    return new Set(files.map((file) => readFileSync(file, 'utf8')));
  }

  private get alias(): string {
    return `roost:${this.place.stateId}:nic-vlan`;
  }

  private set(path: string, value: string): void {
    const file = `${this.place.sysctls ?? '/proc/sys/net'}/${path}`;
    if (existsSync(file)) writeFileSync(file, value);
  }
}

function fileOf(device: string): string {
  return `vlan.${escapeDeviceName(device)}`;
}

function listed(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
