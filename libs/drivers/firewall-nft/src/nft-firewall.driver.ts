import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { conflict, invalid, type Logger, type StateDirectory } from '#kernel';
import { FirewallDriver, type NetworkSpec, type NicFilter, type ProxyForward } from '#ports';
import type { Nft, NftChain } from '#host';
import { foreignDropWarnings } from './foreign-drops.js';
import type { ChainText } from './chain-text.js';
import { chainComment, networkChainNames, networkChains } from './network-rules.js';
import { nicChainNames, nicChains } from './nic-filter-rules.js';
import { forwardChainNames, forwardChains } from './proxy-forward-rules.js';

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
    await this.refuseForeign('bridge', chains.map(({ name }) => name));
    await this.remember(this.filterDirectory, filter);
    await this.replaceChains('bridge', nicChainNames(filter.instance, filter.device), chains);
  }

  override async removeNicFilter(instance: string, device: string): Promise<void> {
    await rm(fileOf(this.filterDirectory, { instance, device }), { force: true });
    await this.removeOurs('bridge', nicChainNames(instance, device));
  }

  override async ensureProxyForward(forward: ProxyForward): Promise<void> {
    const chains = forwardChains(forward);
    await this.refuseForeign('inet', chains.map(({ name }) => name));
    await this.remember(this.forwardDirectory, forward);
    await this.replaceChains('inet', forwardChainNames(forward.instance, forward.device), chains);
  }

  override async removeProxyForward(instance: string, device: string): Promise<void> {
    await rm(fileOf(this.forwardDirectory, { instance, device }), { force: true });
    await this.removeOurs('inet', forwardChainNames(instance, device));
  }

  override async restoreNicFilters(): Promise<string[]> {
    return [
      ...await this.restore('bridge', this.filterDirectory, nicChainNames, nicChains),
      ...await this.restore('inet', this.forwardDirectory, forwardChainNames, forwardChains),
    ];
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
  private async refuseForeign(family: 'inet' | 'bridge', names: readonly string[]): Promise<void> {
    const foreign = (await this.options.nft.listTable(family, table)).find((chain) => names.includes(chain.name) && !this.isOurs(chain));
    if (foreign !== undefined) {
      throw conflict(`Firewall chain "${foreign.name}" in table "${family} ${table}" belongs to another daemon on this host`);
    }
  }

  /** Puts back what is remembered in `directory` and was flushed. */
  private async restore<T extends Owner>(family: 'inet' | 'bridge', directory: string, names: (instance: string, device: string) => string[], chains: (owner: T) => ChainText[]): Promise<string[]> {
    const remembered = await rememberedIn<T>(directory);
    if (remembered.length === 0) return [];
    const present = new Map((await this.options.nft.listTable(family, table)).map((chain) => [chain.name, chain]));
    const missing = remembered.filter((owner) => !this.allPresent(present, chains(owner)));
    for (const owner of missing) await this.replaceChains(family, names(owner.instance, owner.device), chains(owner));
    return missing.map(({ instance, device }) => `${instance}.${device}`);
  }

  private async removeOurs(family: 'inet' | 'bridge', names: readonly string[]): Promise<void> {
    const present = await this.options.nft.listTable(family, table);
    const ours = present.filter((chain) => names.includes(chain.name) && this.isOurs(chain));
    if (ours.length > 0) await this.removeChains(family, ours.map(({ name }) => name));
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

  private get forwardDirectory(): string {
    return `${this.options.state.run}/proxy-forwards`;
  }

  private async remember(directory: string, owner: Owner): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o711 });
    const file = fileOf(directory, owner);
    await writeFile(`${file}.new`, JSON.stringify(owner), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
}

/** Whose rules they are. */
interface Owner {
  readonly instance: string;
  readonly device: string;
}

function fileOf(directory: string, { instance, device }: Owner): string {
  return `${directory}/${encodeURIComponent(`${instance}.${device}`)}`;
}

async function rememberedIn<T>(directory: string): Promise<T[]> {
  const names = await readdir(directory).catch(() => [] as string[]);
  const texts = names.filter((name) => !name.endsWith('.new')).map((name) => readFile(`${directory}/${name}`, 'utf8').catch(() => ''));
  return (await Promise.all(texts)).filter((text) => text !== '').map((text) => JSON.parse(text) as T);
}

/** The daemon need not be root, what `nft` reads is: nothing may end a rule and begin another. */
function checkText(text: string): void {
  if (!/^[\w .,:/"@{}[\]!=-]+$/.test(text)) throw invalid(`Unsafe text for nft: ${JSON.stringify(text)}`);
}

/** Removes chains whether they exist or not: adding one that exists changes nothing, and what exists can be deleted. */
function deletion(family: string, names: readonly string[]): string {
  for (const name of names) if (!/^[\w.-]+$/.test(name)) throw invalid(`Unsafe name for nft: ${JSON.stringify(name)}`);
  return [
    `add table ${family} ${table}`,
    ...names.flatMap((name) => [`add chain ${family} ${table} ${name}`, `flush chain ${family} ${table} ${name}`, `delete chain ${family} ${table} ${name}`]),
  ].map((line) => `${line}\n`).join('');
}
