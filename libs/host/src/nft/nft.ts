import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';
import { parseBaseChains, parseTable, type NftBaseChain, type NftChain } from './nft-listing.js';

/** The `nft` tool. */
export class Nft {
  constructor(private readonly commands: CommandRunner) {}

  /** Runs a script as one transaction: all of it or nothing. */
  async apply(script: string): Promise<void> {
    if (script === '') return;
    await this.commands.run({ argv: ['nft', '-f', '-'], stdin: script });
  }

  /** Chains of a table; none where the table does not exist. */
  async listTable(family: string, table: string): Promise<NftChain[]> {
    try {
      return parseTable((await this.commands.run({ argv: ['nft', 'list', 'table', family, table] })).stdout);
    } catch (error) {
      if (error instanceof CommandFailedError && error.stderrTail.includes('No such file or directory')) return [];
      throw error;
    }
  }

  /** Base chains of every table of the network namespace. */
  async listBaseChains(): Promise<NftBaseChain[]> {
    return parseBaseChains((await this.commands.run({ argv: ['nft', 'list', 'chains'] })).stdout);
  }
}
