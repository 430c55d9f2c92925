import type { Operation } from '#api-types';
import type { Run } from '../../invocation.js';
import { asTable } from '../../output/table.js';
import { isUnset, localMinute } from '../../output/times.js';
import { url } from '../../server.js';
import type { FullInstance } from '../instances/list-columns.js';
import { recordsOf } from './records.js';

interface Backup { readonly name: string; readonly created_at: string }

/** What the server keeps of the past, in order of time. */
export const history: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const one = await server.get<FullInstance & { backups: Backup[] | null }>(url(['instances', name], { recursion: 1 }));
  const events: [string, string, string][] = [];
  const add = (at: string | undefined, what: string, who = ''): void => { if (at !== undefined && !isUnset(at)) events.push([at, who, what]); };
  const image = one.config?.['image.description'] ?? one.config?.['volatile.base_image']?.slice(0, 12);
  add(one.created_at, image === undefined ? 'created' : `created from ${image}`);
  for (const snapshot of one.snapshots ?? []) add(snapshot.created_at, `snapshot ${snapshot.name.split('/').at(-1)} taken${isUnset(snapshot.expires_at) ? '' : `, expires ${localMinute(snapshot.expires_at)}`}`);
  for (const backup of one.backups ?? []) add(backup.created_at, `backup ${backup.name.split('/').at(-1)} made`);
  add(one.last_used_at, 'last started');
  const records = await recordsOf(server, name);
  for (const { created_at, description, requestor, status, err, location } of records) {
    add(created_at, `${description}: ${err === '' ? status.toLowerCase() : err}${server.clustered ? ` (on ${location})` : ''}`, whoIs(requestor));
  }
  const known = new Set(records.map(({ id }) => id));
  const operations = Object.values(await server.get<Record<string, Operation[]>>(url(['operations'], { recursion: 1 }))).flat();
  for (const operation of operations) {
    const touches = Object.values(operation.resources ?? {}).some((paths) => (paths ?? []).some((path) => path.split('?')[0]!.split('/').includes(encodeURIComponent(name))));
    if (touches && !known.has(operation.id)) add(operation.created_at, `${operation.description}: ${operation.err === '' ? operation.status.toLowerCase() : operation.err}`);
  }
  const rows = events.sort(([a], [b]) => Date.parse(a) - Date.parse(b)).map(([at, who, what]) => [localMinute(at), who, what]);
  invocation.terminal.out(asTable(['WHEN', 'WHO', 'WHAT'], rows));
};

/** A certificate is too long to read as a whole. */
function whoIs({ username, protocol }: { readonly username: string; readonly protocol: string }): string {
  if (protocol === 'internal') return 'the server';
  return protocol === 'tls' ? username.slice(0, 12) : username === '' ? protocol : username;
}
