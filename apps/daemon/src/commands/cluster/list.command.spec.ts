import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OpenDatabase } from '#platform/database';
import { listDatabase, showCluster } from './list.command.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/roost-list-database-`);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function output(command: (root: string, write: (text: string) => void) => void): string {
  let text = '';
  command(root, (part) => (text += part));
  return text;
}

it('lists voters and shows members as LXD does, without a daemon', async () => {
  expect(output(listDatabase)).toBe('+---------+\n| ADDRESS |\n+---------+\n');
  expect(output(showCluster)).toBe('members: []\n');
  const open = await OpenDatabase.open({ directory: `${root}/database`, synchronous: 'OFF', ballast: { bytes: 0 } });
  open.localStore.connection.exec("INSERT INTO raft_nodes (id, address, role, name) VALUES (1, '127.0.0.1:8443', 0, 'm1'), (2, '127.0.0.2:8443', 1, 'm2')");

  expect(output(listDatabase)).toBe('+----------------+\n|    ADDRESS     |\n+----------------+\n| 127.0.0.1:8443 |\n+----------------+\n');
  expect(output(showCluster)).toBe(
    `# Latest log index: ${open.database.head.index}\n\nmembers:\n- id: 1\n  name: m1\n  address: 127.0.0.1:8443\n  role: voter\n- id: 2\n  name: m2\n  address: 127.0.0.2:8443\n  role: stand-by\n\n`);
  await open.close();
});
