import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { conflict, invalid, type Logger, type StateDirectory } from '#kernel';
import { FirewallDriver, type NetworkSpec, type NicFilter } from '#ports';
import type { Nft, NftChain } from '#host';
import { foreignDropWarnings } from './foreign-drops.js';
import { chainComment, networkChainNames, networkChains, type ChainText } from './network-rules.js';
import { nicChainNames, nicChains } from './nic-filter-rules.js';

export interface NftFirewallOptions {
  readonly nft: Nft;
  readonly state: StateDirectory;
  /** Content of the state id file: marks our chains. */
  readonly stateId: string;
  readonly logger: Logger;
}

const table = 'roost';

/**
 * Rules in the tables `inet roost` (networks) and `bridge roost` (filters of NICs). Several daemons may share them, so that only
 * chains of this one's networks and NICs are touched, each replaced whole in one transaction (hazards F2). Filters are also kept as
 * files, so that they can be put back after somebody flushed the rule set.
 */
export class NftFirewall extends FirewallDriver {
  override readonly name = 'nftables';

  constructor(private readonly options: NftFirewallOptions) { super(); }

  override async ensureNetworkRules(network: NetworkSpec): Promise<void> {
    await this.replaceChains('inet', networkChainNames(network.name), networkChains(network));
  }

  override async hasNetworkRules(network: NetworkSpec): Promise<boolean> {
    return (await this.withoutNetworkRules([network])).length === 0;
  }

  override async withoutNetworkRules(networks: readonly NetworkSpec[]): Promise<string[]> {
    if (networks.length === 0) return [];
    const present = new Map((await this.options.nft.listTable('inet', table)).map((chain) => [chain.name, chain]));
    return networks.filter((network) => !this.allPresent(present, networkChains(network))).map(({ name }) => name);
  }

  override async removeNetworkRules(networkName: string): Promise<void> {
    await this.removeChains('inet', networkChainNames(networkName));
  }

  override async ensureNicFilter(filter: NicFilter): Promise<void> {
    const chains = nicChains(filter);
    await this.refuseForeign(chains.map(({ name }) => name));
    await this.remember(filter);
    await this.replaceChains('bridge', nicChainNames(filter.instance, filter.device), chains);
  }

  override async removeNicFilter(instance: string, device: string): Promise<void> {
    await rm(this.filterFile(instance, device), { force: true });
    const names = nicChainNames(instance, device);
    const present = await this.options.nft.listTable('bridge', table);
    const ours = present.filter((chain) => names.includes(chain.name) && this.isOurs(chain));
    if (ours.length > 0) await this.removeChains('bridge', ours.map(({ name }) => name));
  }

  override async restoreNicFilters(): Promise<string[]> {
    const filters = await this.rememberedFilters();
    if (filters.length === 0) return [];
    const present = new Map((await this.options.nft.listTable('bridge', table)).map((chain) => [chain.name, chain]));
    const missing = filters.filter((filter) => !this.allPresent(present, nicChains(filter)));
    for (const filter of missing) await this.replaceChains('bridge', nicChainNames(filter.instance, filter.device), nicChains(filter));
    return missing.map(({ instance, device }) => `${instance}.${device}`);
  }

  override async foreignDrops(networkName: string): Promise<string[]> {
    return foreignDropWarnings(await this.options.nft.listBaseChains(), networkName);
  }

  /** True when every chain is there as we made it, with all its rules. */
  private allPresent(present: ReadonlyMap<string, NftChain>, wanted: readonly ChainText[]): boolean {
    return wanted.every((chain) => {
      const found = present.get(chain.name);
      return found !== undefined && found.comment === chainComment(this.options.stateId, chain) && found.rules.length === chain.rules.length;
    });
  }

  private isOurs(chain: NftChain): boolean {
    return chain.comment.startsWith(`roost ${this.options.stateId} `);
  }

  /** Instances of two daemons may bear one name; the second's filter must not replace the first's. */
  private async refuseForeign(names: readonly string[]): Promise<void> {
    const foreign = (await this.options.nft.listTable('bridge', table)).find((chain) => names.includes(chain.name) && !this.isOurs(chain));
    if (foreign !== undefined) {
      throw conflict(`Firewall chain "${foreign.name}" in table "bridge ${table}" belongs to another daemon on this host`);
    }
  }

  private async replaceChains(family: 'inet' | 'bridge', names: readonly string[], wanted: readonly ChainText[]): Promise<void> {
    for (const text of [...names, ...wanted.flatMap(({ rules }) => rules)]) checkText(text);
    const made = wanted.map((chain) =>
      `table ${family} ${table} {\n  chain ${chain.name} {\n    comment "${chainComment(this.options.stateId, chain)}";\n    ${chain.hook}\n${
        chain.rules.map((rule) => `    ${rule}\n`).join('')}  }\n}\n`);
    await this.options.nft.apply(`${deletion(family, names)}${made.join('')}`);
  }

  private async removeChains(family: 'inet' | 'bridge', names: readonly string[]): Promise<void> {
    await this.options.nft.apply(deletion(family, names));
  }

  private get filterDirectory(): string {
    return `${this.options.state.run}/nic-filters`;
  }

  private filterFile(instance: string, device: string): string {
    return `${this.filterDirectory}/${encodeURIComponent(`${instance}.${device}`)}`;
  }

  private async remember(filter: NicFilter): Promise<void> {
    await mkdir(this.filterDirectory, { recursive: true, mode: 0o711 });
    const file = this.filterFile(filter.instance, filter.device);
    await writeFile(`${file}.new`, JSON.stringify(filter), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  private async rememberedFilters(): Promise<NicFilter[]> {
    const names = await readdir(this.filterDirectory).catch(() => [] as string[]);
    const texts = names.filter((name) => !name.endsWith('.new')).map((name) => readFile(`${this.filterDirectory}/${name}`, 'utf8').catch(() => ''));
    return (await Promise.all(texts)).filter((text) => text !== '').map((text) => JSON.parse(text) as NicFilter);
  }
}

/** The daemon need not be root, what `nft` reads is: nothing may end a rule and begin another. */
function checkText(text: string): void {
  if (!/^[\w .,:/"@{}!=-]+$/.test(text)) throw invalid(`Unsafe text for nft: ${JSON.stringify(text)}`);
}

/** Removes chains whether they exist or not: adding one that exists changes nothing, and what exists can be deleted. */
function deletion(family: string, names: readonly string[]): string {
  for (const name of names) if (!/^[\w.-]+$/.test(name)) throw invalid(`Unsafe name for nft: ${JSON.stringify(name)}`);
  return [
    `add table ${family} ${table}`,
    ...names.flatMap((name) => [`add chain ${family} ${table} ${name}`, `flush chain ${family} ${table} ${name}`, `delete chain ${family} ${table} ${name}`]),
  ].map((line) => `${line}\n`).join('');
}
