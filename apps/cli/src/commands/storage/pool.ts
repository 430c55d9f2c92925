import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { bytesIec } from '../../output/units.js';
import { toYaml } from '../../output/yaml.js';
import { url } from '../../server.js';
import { ConfigKind } from '../config-kind.js';
import { pairs } from '../keys.js';

interface Pool {
  readonly name: string;
  readonly driver: string;
  readonly description: string;
  readonly status: string;
  readonly config: Readonly<Record<string, string>> | null;
  readonly used_by: readonly string[] | null;
}

interface PoolResources { readonly space: { used: number; total: number }; readonly inodes: { used: number; total: number } }

export const kind = new ConfigKind({
  noun: 'Storage pool', path: ([name]) => ['storage-pools', name!], shape: { config: null, description: '' },
  explanation: 'A storage pool: its configuration and description, as YAML.\nLines that begin with # are ignored; name and driver cannot be changed.',
});

export const create: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const config = pairs(invocation.args.slice(2));
  const target = invocation.flags.text('target');
  await invocation.run(server, 'POST', url(['storage-pools'], { target }), { config, description: '', name, driver: invocation.arg(1) });
  if (invocation.flags.bool('quiet')) return;
  if (target !== '') invocation.print(`Storage pool ${name} pending on member ${target}`);
  else invocation.print(`Storage pool ${name} created`);
};

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  const pools = await server.get<Pool[]>(url(['storage-pools'], { recursion: 1 }));
  const rows = pools.map((one) => [one.name, one.driver, ...(server.clustered ? [] : [one.config?.['source'] ?? '']), one.description, String(one.used_by?.length ?? 0), one.status.toUpperCase()]);
  invocation.printList(['NAME', 'DRIVER', ...(server.clustered ? [] : ['SOURCE']), 'DESCRIPTION', 'USED BY', 'STATE'], sortRows(rows), pools);
};

export const show: Run = async (invocation) => {
  if (!invocation.flags.bool('resources')) return kind.show(invocation);
  const { server, names: [name = ''] } = await kind.find(invocation);
  invocation.printYaml(await server.get(url(['storage-pools', name, 'resources'], { target: invocation.flags.text('target') })));
};

/** `/1.0/instances/c1` to `instances: c1`, with what project and member it is in. */
export const info: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing pool name');
  const target = invocation.flags.text('target');
  const pool = await server.get<Pool>(url(['storage-pools', name], { target }));
  const { space } = await server.get<PoolResources>(url(['storage-pools', name, 'resources'], { target }));
  const users: Record<string, string[]> = {};
  for (const used of pool.used_by ?? []) {
    const { pathname, searchParams } = new URL(used, 'http://x');
    const parts = pathname.split('/').map(decodeURIComponent);
    const isVolume = parts[2] === 'storage-pools';
    const group = isVolume ? 'volumes' : parts[2] ?? '';
    const named = parts[isVolume ? 6 : 3] ?? '';
    const details = [...searchParams].map(([key, value]) => `${key} "${value}"`);
    (users[group] ??= []).push(details.length === 0 ? named : `${named} (${details.join(', ')})`);
  }
  const size = (bytes: number): string => (invocation.flags.bool('bytes') ? String(bytes) : bytesIec(bytes));
  const shown = { info: { description: pool.description, driver: pool.driver, name: pool.name, 'space used': size(space.used), 'total space': size(space.total) }, 'used by': Object.fromEntries(Object.entries(users).sort(([a], [b]) => (a < b ? -1 : 1)).map(([group, names]) => [group, names.sort()])) };
  invocation.terminal.out(toYaml(shown));
};
