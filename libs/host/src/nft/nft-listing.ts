/** One chain as `nft list table` shows it. */
export interface NftChain {
  readonly name: string;
  /** Empty where the chain has none. */
  readonly comment: string;
  /** `type filter hook forward priority filter; policy accept;` for a base chain, else empty. */
  readonly hook: string;
  readonly rules: readonly string[];
}

/** Chains of one table from the text of `nft list table FAMILY NAME`. Sets and maps are skipped. */
export function parseTable(text: string): NftChain[] {
  const chains: NftChain[] = [];
  let chain: { name: string; comment: string; hook: string; rules: string[] } | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const opened = /^chain (\S+) \{$/.exec(line);
    if (opened) chain = { name: unquote(opened[1] ?? ''), comment: '', hook: '', rules: [] };
    else if (chain === undefined || line === '') continue;
    else if (line === '}') {
      chains.push(chain);
      chain = undefined;
    } else if (line.startsWith('comment "')) chain.comment = line.slice('comment "'.length, line.lastIndexOf('"'));
    else if (/^type \w+ hook /.test(line)) chain.hook = line;
    else chain.rules.push(line);
  }
  return chains;
}

/** A base chain somewhere in the rule set. */
export interface NftBaseChain {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly hook: string;
  /** `accept` or `drop`. */
  readonly policy: string;
}

/** Base chains of all tables from the text of `nft list chains`. */
export function parseBaseChains(text: string): NftBaseChain[] {
  const found: NftBaseChain[] = [];
  let table = { family: '', name: '' };
  let chain = '';
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const inTable = /^table (\S+) (\S+) \{$/.exec(line);
    const inChain = /^chain (\S+) \{$/.exec(line);
    const based = /^type \w+ hook (\w+) .*?policy (\w+);/.exec(line);
    if (inTable) table = { family: inTable[1] ?? '', name: unquote(inTable[2] ?? '') };
    else if (inChain) chain = unquote(inChain[1] ?? '');
    else if (based) found.push({ family: table.family, table: table.name, chain, hook: based[1] ?? '', policy: based[2] ?? '' });
  }
  return found;
}

function unquote(name: string): string {
  return name.replaceAll('"', '');
}
