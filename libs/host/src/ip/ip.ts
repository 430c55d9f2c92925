import { setTimeout as sleep } from 'node:timers/promises';
import { internal } from '#kernel';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';
import { Netlink } from '../netlink/netlink.js';
import { IpBatch } from './ip-batch.js';
import { linkDetails, type LinkDetails } from './link-details.js';

const probePauseMs = 50;

/** A route of the main table, as far as its destination and device go. */
export interface IpRoute {
  /** `default` or a CIDR or a single address. */
  readonly destination: string;
  readonly device: string;
}

/** How a card treats one of its virtual functions (SR-IOV). */
export interface FunctionSettings {
  readonly id: number;
  readonly hwaddr: string;
  /** 0 for none. */
  readonly vlan: number;
  readonly spoofcheck: boolean;
}

/** The `ip` tool of iproute2. What netlink tells as well is asked there, without a process. */
export class Ip {
  constructor(private readonly commands: CommandRunner, private readonly netlink: Netlink = new Netlink()) {}

  /** Runs all lines in order in one process and stops at the first that fails; the `CommandFailedError` is that line's. */
  async apply(batch: IpBatch): Promise<void> {
    if (batch.empty) return;
    try {
      await this.commands.run({ argv: ['ip', '-batch', '-'], stdin: batch.text() });
    } catch (error) {
      const failed = error instanceof CommandFailedError ? /^([\s\S]*?)\s*Command failed -:(\d+)/.exec(error.stderrTail) : null;
      if (!(error instanceof CommandFailedError) || failed === null) throw error;
      throw new CommandFailedError(['ip', ...batch.line(Number(failed[2])).split(' ')], error.exitCode, error.signal, failed[1] ?? '');
    }
  }

  /** Makes `PARENT.ID`. By itself and not in a batch: where the kernel has no VLANs, the error is the tool's own. */
  async addVlan({ parent, id, gvrp }: { readonly parent: string; readonly id: string; readonly gvrp: boolean }): Promise<void> {
    if (![parent, id].every((text) => /^[\w.:-]+$/.test(text))) throw internal(`Unsafe text for ip: ${JSON.stringify([parent, id])}`);
    await this.commands.run({ argv: ['ip', 'link', 'add', `${parent}.${id}`, 'link', parent, 'type', 'vlan', 'id', id, ...(gvrp ? ['gvrp', 'on'] : [])] });
  }

  /** Lines for the `bridge` tool, about VLANs of a port. Names and numbers must have been validated. */
  async changePortVlans(lines: readonly string[]): Promise<void> {
    const unsafe = lines.find((line) => !/^[\w .:-]+$/.test(line));
    if (unsafe !== undefined) throw internal(`Unsafe text for bridge: ${JSON.stringify(unsafe)}`);
    if (lines.length > 0) await this.commands.run({ argv: ['bridge', '-batch', '-'], stdin: lines.map((line) => `${line}\n`).join('') });
  }

  /** Those of the addresses that somebody on the link answers for within the time: the kernel asks by ARP or neighbour discovery. */
  async answering(link: string, addresses: readonly string[], timeoutMs: number): Promise<string[]> {
    if (addresses.length === 0) return [];
    const [ask, forget] = [new IpBatch(), new IpBatch()];
    for (const address of addresses) {
      ask.askNeighbor(address, link);
      forget.deleteNeighbor(address, link);
    }
    const answered = async (): Promise<string[]> => {
      const { stdout } = await this.commands.run({ argv: ['ip', '-j', 'neighbor', 'show', 'dev', link] });
      const found = (stdout.trim() === '' ? [] : JSON.parse(stdout)) as { dst: string; lladdr?: string }[];
      return addresses.filter((address) => found.some(({ dst, lladdr }) => dst === address && lladdr !== undefined));
    };
    // What was known before says nothing of now.
    await this.applyAll(forget);
    await this.apply(ask);
    try {
      for (const end = performance.now() + timeoutMs; ;) {
        const found = await answered();
        if (found.length > 0 || performance.now() > end) return found;
        await sleep(probePauseMs);
      }
    } finally {
      await this.applyAll(forget);
    }
  }

  /** Takes away what may be gone already: every line is tried, none is an error. */
  async applyAll(batch: IpBatch): Promise<void> {
    if (!batch.empty) await this.commands.run({ argv: ['ip', '-force', '-batch', '-'], stdin: batch.text(), okExitCodes: [0, 1, 2] });
  }

  /** Runs lines in the network namespace of a process. */
  async applyInside(pid: number, batch: IpBatch): Promise<void> {
    if (!batch.empty) await this.commands.run({ argv: ['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', '-batch', '-'], stdin: batch.text() });
  }

  /** All links of this network namespace with addresses and counters. Costs no process. */
  listLinks(): LinkDetails[] {
    return linkDetails(this.netlink.describe());
  }

  /** Routes with a gateway or device of one family. */
  async listRoutes(family: 'inet' | 'inet6', filter: readonly string[] = []): Promise<IpRoute[]> {
    const { stdout } = await this.commands.run({ argv: ['ip', '-j', family === 'inet' ? '-4' : '-6', 'route', 'show', ...filter] });
    return parseRoutes(stdout);
  }

  /** The virtual functions of a card that it says something of. */
  async listFunctions(parent: string): Promise<FunctionSettings[]> {
    return parseFunctions((await this.commands.run({ argv: ['ip', '-j', 'link', 'show', 'dev', parent] })).stdout);
  }
}

/** Output of `ip -j link show dev PARENT`. Older versions call the address of a function its `mac`. */
export function parseFunctions(json: string): FunctionSettings[] {
  type Function = { vf?: number; address?: string; mac?: string; vlan?: number; vlan_list?: { vlan?: number }[]; spoofchk?: boolean };
  const [link] = JSON.parse(json.trim() || '[]') as { vfinfo_list?: Function[] }[];
  return (link?.vfinfo_list ?? []).map(({ vf, address, mac, vlan, vlan_list: vlans, spoofchk }) => ({
    id: vf ?? 0, hwaddr: address ?? mac ?? '', vlan: vlan ?? vlans?.[0]?.vlan ?? 0, spoofcheck: spoofchk === true,
  }));
}

/** Output of `ip -j route show`. An address family the kernel lacks gives no output. */
export function parseRoutes(json: string): IpRoute[] {
  if (json.trim() === '') return [];
  const routes = JSON.parse(json) as { dst?: string; dev?: string }[];
  return routes.map((route) => ({ destination: route.dst ?? '', device: route.dev ?? '' }));
}
