import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseBaseChains, parseTable } from './nft-listing.js';

const recorded = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

describe('parseTable', () => {
  it('reads chains with comment, hook and rules', () => {
    expect(parseTable(recorded('nft-list-table.txt'))).toEqual([
      { name: 'fwd.br0', comment: 'roost 0123456789abcdef 00112233445566ff', hook: 'type filter hook forward priority filter; policy accept;',
        rules: ['ip version 4 oifname "br0" accept', 'ip version 4 iifname "br0" accept'] },
      { name: 'in.br0', comment: '', hook: 'type filter hook input priority filter; policy accept;',
        rules: ['iifname "br0" icmp type { destination-unreachable, time-exceeded, parameter-problem } accept'] },
      { name: 'acl.br0', comment: '', hook: '', rules: [] },
    ]);
  });
});

describe('parseBaseChains', () => {
  it('tells hooks and policies, whoever they belong to', () => {
    expect(parseBaseChains(recorded('nft-list-chains.txt'))).toEqual([
      { family: 'ip', table: 'filter', chain: 'FORWARD', hook: 'forward', policy: 'drop' },
      { family: 'inet', table: 'roost', chain: 'fwd.br0', hook: 'forward', policy: 'accept' },
    ]);
  });
});
