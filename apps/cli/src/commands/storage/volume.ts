import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { asTable } from '../../output/table.js';
import { byNumbers, sortRows } from '../../output/render.js';
import { isUnset, localMinute } from '../../output/times.js';
import { bytesIec } from '../../output/units.js';
import { url, type Server } from '../../server.js';
import { editYaml } from '../../terminal/edit.js';
import { pairs, readKeys } from '../keys.js';
import { parseVolume, poolOf, volumeUrl, writableVolume } from './volume-names.js';

type Raw = Record<string, unknown>;

export interface VolumeView {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly content_type: string;
  readonly project: string;
  readonly location: string;
  readonly config: Readonly<Record<string, string>> | null;
  readonly used_by: readonly string[] | null;
  readonly created_at?: string;
}

export const create: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const { type, name } = parseVolume(invocation.arg(1));
  if (type !== 'custom') throw invalid('Only "custom" volumes can be created');
  const config = pairs(invocation.args.slice(2));
  await invocation.run(server, 'POST', url(['storage-pools', pool, 'volumes', type], { target: invocation.flags.text('target') }), { config, description: '', name, type, content_type: invocation.flags.text('type') });
  if (!invocation.flags.bool('quiet')) invocation.print(`Storage volume ${name} created`);
};

export const remove: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  await invocation.run(server, 'DELETE', volumeUrl(invocation, pool, parseVolume(invocation.arg(1))));
  if (!invocation.flags.bool('quiet')) invocation.print(`Storage volume ${invocation.arg(1)} deleted`);
};

export const get: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const { config } = await server.get<VolumeView>(volumeUrl(invocation, pool, parseVolume(invocation.arg(1))));
  invocation.print(config?.[invocation.arg(2)] ?? '');
};

async function change(invocation: Invocation, keys: Record<string, string>): Promise<void> {
  const { server, pool } = await poolOf(invocation);
  const volume = parseVolume(invocation.arg(1));
  if (volume.snapshot !== '') throw invalid('Snapshots are read-only and can\'t have their configuration changed');
  const path = volumeUrl(invocation, pool, volume);
  const { value, etag } = await server.fetch<Raw>(path);
  await invocation.run(server, 'PUT', path, { ...writableVolume(value), config: { ...(value['config'] as object | null), ...keys } }, '', { 'if-match': etag });
}

export const set: Run = async (invocation) => change(invocation, await readKeys(invocation, invocation.args.slice(2)));
export const unset: Run = async (invocation) => change(invocation, { [invocation.arg(2)]: '' });

export const show: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const volume = parseVolume(invocation.arg(1));
  const value = await server.get<Raw>(volumeUrl(invocation, pool, volume));
  if (Array.isArray(value['used_by'])) (value['used_by'] as string[]).sort();
  invocation.printYaml(volume.snapshot === '' ? value : { ...pick(value, snapshotOrder), ...value });
};

/** As `lxc` shows a snapshot, whatever order the server sends. */
const snapshotOrder = ['description', 'expires_at', 'name', 'config', 'content_type', 'created_at'];

function pick(value: Raw, keys: readonly string[]): Raw {
  return Object.fromEntries(keys.filter((key) => key in value).map((key) => [key, value[key]]));
}

export const edit: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const volume = parseVolume(invocation.arg(1));
  const path = volumeUrl(invocation, pool, volume);
  let etag = '';
  await editYaml(invocation, {
    explanation: 'A volume: its configuration and description, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
    load: async () => {
      const found = await server.fetch<Raw>(path);
      etag = found.etag;
      return found.value;
    },
    save: async (value) => {
      const given = (value ?? {}) as Raw;
      const body = volume.snapshot === '' ? writableVolume(given) : { description: given['description'] ?? '', expires_at: given['expires_at'] ?? null };
      await invocation.run(server, 'PUT', path, body, '', etag === '' ? {} : { 'if-match': etag });
    },
  });
};

export const rename: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const [, from = '', to = ''] = invocation.args;
  const source = parseVolume(from);
  const wanted = parseVolume(to);
  if ((source.snapshot === '') !== (wanted.snapshot === '')) throw invalid('Invalid new snapshot name');
  if (source.snapshot !== '' && wanted.name !== source.name) throw invalid('Invalid new snapshot name, parent must be the same as source');
  const name = source.snapshot === '' ? wanted.name : wanted.snapshot;
  await invocation.run(server, 'POST', volumeUrl(invocation, pool, source), { name });
  if (!invocation.flags.bool('quiet')) invocation.print(`Renamed storage volume from "${from}" to "${name}"`);
};

const columns: Readonly<Record<string, readonly [string, (volume: VolumeView, size: string) => string]>> = {
  t: ['TYPE', (one) => one.type],
  n: ['NAME', (one) => one.name],
  d: ['DESCRIPTION', (one) => one.description],
  c: ['CONTENT-TYPE', (one) => one.content_type || 'filesystem'],
  u: ['USED BY', (one) => String(one.used_by?.length ?? 0)],
  U: ['USAGE', (_one, size) => size],
  L: ['LOCATION', (one) => one.location],
  e: ['PROJECT', (one) => one.project],
};

/** Which columns: that of the project only for all projects, that of the member only in a cluster, unless asked for. */
function columnsOf(invocation: Invocation, server: Server): string[] {
  const asked = invocation.flags.text('columns');
  const usual = asked === 'etndcuL';
  const letters: string[] = [];
  for (const word of asked.split(',')) {
    if (word === '') throw invalid(`Empty column entry (redundant, leading or trailing command) in '${asked}'`);
    for (const letter of word) {
      if (letter === 'L' && !server.clustered) {
        if (!usual) throw invalid("Can't specify column L when not clustered");
        continue;
      }
      if (letter === 'e' && usual && !invocation.flags.bool('all-projects')) continue;
      if (columns[letter] === undefined) throw invalid(`Unknown column shorthand char '${letter}' in '${word}'`);
      letters.push(letter);
    }
  }
  return letters;
}

export const list: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const letters = columnsOf(invocation, server);
  const allProjects = invocation.flags.bool('all-projects');
  const filter = invocation.args.slice(1).map((word) => (word.includes('=') ? filterOf(word) : `name eq (^${word}$|^${word}.*)`)).join(' and ');
  const query = { recursion: 1, 'all-projects': allProjects ? 'true' : '', filter };
  const volumes = await server.get<VolumeView[]>(url(['storage-pools', pool, 'volumes'], query));
  const sizes = new Map<VolumeView, string>();
  if (letters.includes('U')) {
    for (const one of volumes) {
      const [name = '', snapshot] = one.name.split('/');
      const path = snapshot === undefined ? url(['storage-pools', pool, 'volumes', one.type, name, 'state'], { project: one.project }) : '';
      if (path === '') continue;
      const state = await server.get<{ usage?: { used?: number } | null }>(path);
      if (state.usage?.used !== undefined) sizes.set(one, bytesIec(state.usage.used));
    }
  }
  volumes.sort((a, b) => byNumbers(a.type, b.type) || byNumbers(a.name, b.name));
  const rows = volumes.map((one) => letters.map((letter) => {
    const text = columns[letter]![1](one, sizes.get(one) ?? '');
    return letter === 't' && one.name.includes('/') ? `${text} (snapshot)` : text;
  }));
  invocation.printList(letters.map((letter) => columns[letter]![0]), letters[0] === 't' ? rows : sortRows(rows), volumes);
};

function filterOf(word: string): string {
  const equals = word.indexOf('=');
  const key = word.slice(0, equals);
  return `${key} eq ${word.slice(equals + 1)}`;
}

interface VolumeState { readonly usage: { used: number; total: number } | null }
interface Snapshot { readonly name: string; readonly description: string; readonly expires_at: string | null; readonly created_at?: string }

export const info: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const volume = parseVolume(invocation.arg(1));
  const state = await server.get<VolumeState>(volumeUrl(invocation, pool, volume, ['state']));
  const shown = await server.get<VolumeView>(volumeUrl(invocation, pool, volume));
  const snapshots = await server.get<Snapshot[]>(`${volumeUrl(invocation, pool, volume, ['snapshots']).replace(/\?.*/, '')}?recursion=1`);
  const lines = [`Name: ${volume.name}`];
  if (shown.description !== '') lines.push(`Description: ${shown.description}`);
  lines.push(`Type: ${shown.type === '' ? 'custom' : shown.type}`, `Content type: ${shown.content_type || 'filesystem'}`);
  if (server.clustered && shown.location !== '') lines.push(`Location: ${shown.location}`);
  if (state.usage !== null && state.usage !== undefined) {
    lines.push(`Usage: ${bytesIec(state.usage.used)}`);
    if (state.usage.total > 0) lines.push(`Total: ${bytesIec(state.usage.total)}`);
  }
  if (shown.created_at !== undefined && !isUnset(shown.created_at)) lines.push(`Created: ${localMinute(shown.created_at)}`);
  invocation.print(lines.join('\n'));
  if (snapshots.length === 0) return;
  const rows = snapshots.map((one) => [one.name.split('/').at(-1)!, one.description, isUnset(one.expires_at) ? '' : localMinute(one.expires_at!)]);
  invocation.print(`\nSnapshots:\n${asTable(['Name', 'Description', 'Expires at'], sortRows(rows)).trimEnd()}`);
};
