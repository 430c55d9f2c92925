import { stringify } from 'yaml';
import { readLogIndex, readRaftNodes } from './raft-nodes.js';

/** `cluster list-database`: addresses of the members that hold the log, in LXD's table. */
export function listDatabase(root: string, write: (text: string) => void): void {
  const addresses = readRaftNodes(root).filter(({ role }) => role === 'voter').map(({ address }) => address);
  const width = Math.max('ADDRESS'.length, ...addresses.map(({ length }) => length));
  const rule = `+${'-'.repeat(width + 2)}+\n`;
  const left = Math.floor((width - 'ADDRESS'.length) / 2);
  write(`${rule}| ${`${' '.repeat(left)}ADDRESS`.padEnd(width)} |\n${rule}`);
  for (const address of addresses) write(`| ${address.padEnd(width)} |\n${rule}`);
}

/** `cluster show`: the members as YAML, for `cluster edit`. */
export function showCluster(root: string, write: (text: string) => void): void {
  const members = readRaftNodes(root).map(({ id, name, address, role }) => ({ id, name, address, role }));
  if (members.length > 0) write(`# Latest log index: ${readLogIndex(root)}\n\n`);
  write(stringify({ members }, { version: '1.1', indentSeq: false }));
  if (members.length > 0) write('\n');
}
