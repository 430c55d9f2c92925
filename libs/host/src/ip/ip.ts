import type { CommandRunner } from '../command.js';
import type { IpBatch } from './ip-batch.js';
import { parseLinks, type LinkDetails } from './link-listing.js';

/** A route of the main table, as far as its destination and device go. */
export interface IpRoute {
  /** `default` or a CIDR or a single address. */
  readonly destination: string;
  readonly device: string;
}

/** The `ip` tool of iproute2. */
export class Ip {
  constructor(private readonly commands: CommandRunner) {}

  /** Runs all lines in order in one process and stops at the first that fails (`CommandFailedError` names its line). */
  async apply(batch: IpBatch): Promise<void> {
    if (batch.empty) return;
    await this.commands.run({ argv: ['ip', '-batch', '-'], stdin: batch.text() });
  }

  /** All links of this network namespace with addresses and counters. */
  async listLinks(): Promise<LinkDetails[]> {
    return parseLinks((await this.commands.run({ argv: ['ip', '-j', '-d', '-s', 'address', 'show'] })).stdout);
  }

  /** Routes with a gateway or device of one family. */
  async listRoutes(family: 'inet' | 'inet6', filter: readonly string[] = []): Promise<IpRoute[]> {
    const { stdout } = await this.commands.run({ argv: ['ip', '-j', family === 'inet' ? '-4' : '-6', 'route', 'show', ...filter] });
    return parseRoutes(stdout);
  }
}

/** Output of `ip -j route show`. An address family the kernel lacks gives no output. */
export function parseRoutes(json: string): IpRoute[] {
  if (json.trim() === '') return [];
  const routes = JSON.parse(json) as { dst?: string; dev?: string }[];
  return routes.map((route) => ({ destination: route.dst ?? '', device: route.dev ?? '' }));
}
