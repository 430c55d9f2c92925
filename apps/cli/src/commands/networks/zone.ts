import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { ConfigKind } from '../config-kind.js';
import { pairs } from '../keys.js';

interface Entry { readonly type: string; readonly ttl?: number; readonly value: string }
interface Zone { readonly name: string; readonly description: string; readonly used_by: readonly string[] | null }
interface ZoneRecord { readonly name: string; readonly description: string; readonly config: Record<string, string> | null; readonly entries: Entry[] | null }

export const kind = new ConfigKind({
  noun: 'Network Zone', path: ([zone]) => ['network-zones', zone!], shape: { description: '', config: null },
  explanation: 'A DNS zone: its configuration and description, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
});

export const recordKind = new ConfigKind({
  noun: 'Network zone record', words: 2, path: ([zone, record]) => ['network-zones', zone!, 'records', record!], shape: { description: '', entries: null, config: null },
  explanation: 'A record of a DNS zone and its entries, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
  checkNames: ([zone, record]) => {
    if (zone === '') throw invalid('Missing network zone name');
    if (record === '') throw invalid('Missing network zone record name');
  },
});

/** What standard input describes, with the keys of the command line. */
async function given(invocation: Invocation, of: ConfigKind, words: readonly string[]): Promise<Record<string, unknown>> {
  const input = invocation.terminal.inputIsTerminal ? null : (await parseYaml((await invocation.terminal.readAll()).toString('utf8'))) as Record<string, unknown> | null;
  const put = of.writable(input);
  put['config'] = { ...(put['config'] as object | null), ...pairs(words, 'Bad key=value pair') };
  return put;
}

export const create: Run = async (invocation) => {
  const { server, names: [name = ''] } = await kind.find(invocation);
  await invocation.run(server, 'POST', url(['network-zones']), { ...await given(invocation, kind, invocation.args.slice(1)), name });
  if (!invocation.flags.bool('quiet')) invocation.print(`Network Zone ${name} created`);
};

export const list: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name !== '') throw invalid("Filtering isn't supported yet");
  const zones = await server.get<Zone[]>(url(['network-zones'], { recursion: 1 }));
  invocation.printList(['NAME', 'DESCRIPTION', 'USED BY'], sortRows(zones.map((one) => [one.name, one.description, String(one.used_by?.length ?? 0)])), zones);
};

export const createRecord: Run = async (invocation) => {
  const { server, names: [zone = '', name = ''] } = await recordKind.find(invocation);
  await invocation.run(server, 'POST', url(['network-zones', zone, 'records']), { ...await given(invocation, recordKind, invocation.args.slice(2)), name });
  if (!invocation.flags.bool('quiet')) invocation.print(`Network zone record ${name} created`);
};

export const listRecords: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network zone name');
  const records = await server.get<ZoneRecord[]>(url(['network-zones', name, 'records'], { recursion: 1 }));
  const rows = records.map((one) => [one.name, one.description, (one.entries ?? []).map((entry) => `${entry.type} ${entry.value}`).join('\n')]);
  invocation.printList(['NAME', 'DESCRIPTION', 'ENTRIES'], sortRows(rows), records);
};

async function changeEntries(invocation: Invocation, change: (entries: Entry[]) => Entry[]): Promise<void> {
  const { server, names } = await recordKind.find(invocation);
  const path = recordKind.url(names);
  const { value, etag } = await server.fetch<ZoneRecord>(path);
  const put = recordKind.writable(value as unknown as Record<string, unknown>);
  await invocation.run(server, 'PUT', path, { ...put, entries: change(value.entries ?? []) }, '', { 'if-match': etag });
}

export const addEntry: Run = (invocation) => {
  const [, , type = '', value = ''] = invocation.args;
  const ttl = invocation.flags.int('ttl');
  return changeEntries(invocation, (entries) => [...entries, { type, ...(ttl === 0 ? {} : { ttl }), value }]);
};

export const removeEntry: Run = (invocation) => changeEntries(invocation, (entries) => {
  const [, , type, value] = invocation.args;
  const index = entries.findIndex((entry) => entry.type === type && entry.value === value);
  if (index < 0) throw invalid("Couldn't find a matching entry");
  return entries.filter((_entry, at) => at !== index);
});
