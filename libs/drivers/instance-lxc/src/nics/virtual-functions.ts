import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IpBatch, type FunctionSettings, type Ip } from '#host';
import { internal } from '#kernel';

type Config = Readonly<Record<string, string>>;

/** A virtual function that a container has: which one of which card, and how the card treated it before. */
export interface LentFunction {
  readonly parent: string;
  readonly id: number;
  /** PCI address; empty where the kernel does not tell. */
  readonly slot: string;
  readonly hwaddr: string;
  readonly vlan: number;
  readonly spoofcheck: boolean;
}

/** A driver that is bound again takes its time to make its link. */
const bindPatienceMs = 5000;
const noAddress = '00:00:00:00:00:00';

/**
 * Virtual functions (SR-IOV) of network cards: finding a free one, and having the card treat it as a NIC asks. A function is taken from its driver while
 * the card learns of it, because drivers look at that only when they begin.
 */
export class VirtualFunctions {
  constructor(private readonly ip: Pick<Ip, 'apply' | 'applyAll' | 'listFunctions'>, private readonly sysfs = '/sys') {}

  /** @throws in LXD's words when a link has no such functions. */
  check(parent: string): void {
    if (!existsSync(`${this.device(parent)}/sriov_totalvfs`)) throw internal(`Parent device "${parent}" doesn't support SR-IOV`);
  }

  /** A function whose link is on the host and not among `taken`. When there is none, the card is told to have as many as it can. */
  async free(parent: string, taken: ReadonlySet<string>): Promise<{ id: number; link: string }> {
    this.check(parent);
    // Cards give functions only while they are up.
    await this.ip.apply(new IpBatch().setUp(parent));
    const count = (file: string): number => Number(text(`${this.device(parent)}/${file}`));
    const [enabled, total] = [count('sriov_numvfs'), count('sriov_totalvfs')];
    const found = this.among(parent, 0, enabled, taken);
    if (found !== null) return found;
    if (enabled < total) {
      writeFileSync(`${this.device(parent)}/sriov_numvfs`, `${total}`);
      const fresh = await patiently(() => this.among(parent, enabled, total, taken));
      if (fresh !== null) return fresh;
    }
    throw internal(`All virtual functions on parent device "${parent}" are already in use`);
  }

  /** How the card treats a function now, to be had back by `restore`. */
  async describe(parent: string, id: number): Promise<LentFunction> {
    const settings: FunctionSettings | undefined = (await this.ip.listFunctions(parent)).find((one) => one.id === id);
    return { parent, id, slot: this.slot(parent, id), hwaddr: settings?.hwaddr ?? '', vlan: settings?.vlan ?? 0, spoofcheck: settings?.spoofcheck ?? false };
  }

  /** Has the card treat it as the NIC's configuration says; `hwaddr` is what its link has. The name of its link afterwards. */
  async setUp(lent: LentFunction, link: string, hwaddr: string, config: Config, filtered: boolean): Promise<string> {
    return this.unbound(lent, link, async () => {
      const { parent, id } = lent;
      const batch = new IpBatch();
      if ((config['vlan'] ?? '') !== '') batch.setFunctionVlan(parent, id, Number(config['vlan']));
      if (filtered) {
        // In this order: some cards take no address while they check, others check nothing without one.
        await this.ip.apply(batch.setFunctionAddress(parent, id, config['hwaddr'] || hwaddr).setFunctionSpoofCheck(parent, id, true));
        return;
      }
      await this.ip.apply(batch);
      // Some cards must forget the former address first; others cannot, and need not. Without a check the link's own address counts.
      await this.ip.applyAll(new IpBatch().setFunctionAddress(parent, id, noAddress));
      await this.ip.apply(new IpBatch().setFunctionSpoofCheck(parent, id, false));
    });
  }

  /** As it was before it was lent. What the card refuses is left. */
  async restore(lent: LentFunction, link: string): Promise<string> {
    return this.unbound(lent, link, async () => {
      const { parent, id, hwaddr, vlan, spoofcheck } = lent;
      const batch = new IpBatch().setFunctionVlan(parent, id, vlan).setFunctionSpoofCheck(parent, id, spoofcheck);
      await this.ip.applyAll(hwaddr === '' ? batch : batch.setFunctionAddress(parent, id, hwaddr));
    });
  }

  private async unbound(lent: LentFunction, link: string, work: () => Promise<void>): Promise<string> {
    const bus = `${this.sysfs}/bus/pci`;
    const driver = `${bus}/devices/${lent.slot}/driver`;
    const bound = lent.slot !== '' && existsSync(driver);
    if (bound) writeFileSync(`${driver}/unbind`, lent.slot);
    try {
      await work();
    } finally {
      // Whatever happened, it must not stay without a driver.
      if (bound) writeFileSync(`${bus}/drivers_probe`, lent.slot);
    }
    if (!bound) return link;
    const name = await patiently(() => this.links(lent.parent, lent.id)[0] ?? null);
    if (name === null) throw internal(`Bind of interface "${link}" took too long`);
    return name;
  }

  private among(parent: string, from: number, to: number, taken: ReadonlySet<string>): { id: number; link: string } | null {
    for (let id = from; id < to; id++) {
      const link = this.links(parent, id).find((name) => !taken.has(name) && this.samePort(parent, name));
      if (link !== undefined) return { id, link };
    }
    return null;
  }

  /** Cards with several ports may show functions of all of them at each. */
  private samePort(parent: string, link: string): boolean {
    return ['dev_id', 'dev_port'].every((file) => text(`${this.sysfs}/class/net/${parent}/${file}`) === text(`${this.sysfs}/class/net/${link}/${file}`));
  }

  /** Those of this network namespace: none for a function that a container has. */
  private links(parent: string, id: number): string[] {
    const directory = `${this.device(parent)}/virtfn${id}/net`;
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  private slot(parent: string, id: number): string {
    try {
      return basename(readlinkSync(`${this.device(parent)}/virtfn${id}`));
    } catch {
      return '';
    }
  }

  private device(parent: string): string {
    return `${this.sysfs}/class/net/${parent}/device`;
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return ''; // Not every driver has every file.
  }
}

async function patiently<T>(look: () => T | null): Promise<T | null> {
  const deadline = performance.now() + bindPatienceMs;
  for (let pause = 2; ; pause = Math.min(pause * 1.5, 100)) {
    const found = look();
    if (found !== null || performance.now() > deadline) return found;
    await sleep(pause);
  }
}
