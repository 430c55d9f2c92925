import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Logger, StateDirectory } from '#kernel';
import type { NetworkSpec } from '#ports';
import { parseLeases, type Dnsmasq, type DnsmasqLease } from '#host';
import { dnsmasqArguments, type DnsmasqFiles } from './dnsmasq-arguments.rules.js';

/**
 * DHCP and DNS of networks: one dnsmasq each. It detaches itself and survives the agent; it is found again by its pid file and
 * recognised by its command line, which holds its whole configuration, so that a changed one is noticed too.
 */
export class DnsmasqService {
  constructor(private readonly dnsmasq: Dnsmasq, private readonly state: StateDirectory, private readonly logger: Logger) {}

  /** Starts it, or starts it anew where its configuration changed. True when it had to. */
  async ensure(network: NetworkSpec): Promise<boolean> {
    const files = this.files(network.name);
    const args = dnsmasqArguments(network, files);
    if (args === null) {
      await this.stop(network.name);
      return false;
    }
    const raw = rawConfiguration(network);
    const unchanged = (await readOrEmpty(files.raw)) === raw;
    if (unchanged && (await this.dnsmasq.find(args, files.pid)) !== null) return false;
    // Stopped before its file changes: after a crash in between none runs, which is noticed.
    await this.stop(network.name);
    await mkdir(files.hosts, { recursive: true, mode: 0o755 });
    await replaceFile(files.raw, raw);
    try {
      await this.dnsmasq.start(args, files.pid);
    } catch (error) {
      // One of ours whose pid file was lost still holds the address.
      const lost = await this.dnsmasq.findByArgument(`--conf-file=${files.raw}`);
      if (lost.length === 0) throw error;
      for (const process of lost) await this.dnsmasq.stop(process);
      await this.dnsmasq.start(args, files.pid);
    }
    this.logger.debug('Started dnsmasq', { network: network.name });
    return true;
  }

  /** Whether it runs with the configuration it should have (or should not and does not run). */
  async isRight(network: NetworkSpec): Promise<boolean> {
    const files = this.files(network.name);
    const args = dnsmasqArguments(network, files);
    if (args === null) return true;
    return (await this.dnsmasq.find(args, files.pid)) !== null && (await readOrEmpty(files.raw)) === rawConfiguration(network);
  }

  async stop(name: string): Promise<void> {
    const { pid } = this.files(name);
    const running = await this.dnsmasq.findByPidFile(pid);
    if (running !== null) await this.dnsmasq.stop(running);
    await rm(pid, { force: true });
  }

  /** Has it read its hosts files again. */
  async reload(name: string): Promise<void> {
    const running = await this.dnsmasq.findByPidFile(this.files(name).pid);
    if (running !== null) await this.dnsmasq.reload(running);
  }

  /** Leases as dnsmasq last wrote them; empty before the first. */
  async leases(name: string): Promise<DnsmasqLease[]> {
    return parseLeases(await readOrEmpty(this.files(name).leases));
  }

  /** Takes leases out of the file of a dnsmasq that does not run (any more). */
  async dropLeases(name: string, unwanted: (line: string) => boolean): Promise<void> {
    const { leases } = this.files(name);
    const text = await readOrEmpty(leases);
    const kept = text.split('\n').filter((line) => line === '' || !unwanted(line)).join('\n');
    if (kept !== text) await replaceFile(leases, kept);
  }

  files(name: string): DnsmasqFiles & { readonly pid: string } {
    const directory = this.state.network(name);
    return { leases: `${directory}/dnsmasq.leases`, hosts: `${directory}/dnsmasq.hosts`, raw: `${directory}/dnsmasq.raw`, pid: `${directory}/dnsmasq.pid` };
  }
}

function rawConfiguration(network: NetworkSpec): string {
  return `${network.config['raw.dnsmasq'] ?? ''}\n`;
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return ''; // Not written yet.
  }
}

/** The reader sees the old content or the new one, never half of it. */
export async function replaceFile(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o644 });
  await rename(`${path}.new`, path);
}
