import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { ConfigKind } from '../config-kind.js';
import { kind as memberKind, requireCluster } from './members.js';

interface Group { readonly name: string; readonly description: string; readonly members: readonly string[] | null }
type Raw = Record<string, unknown>;

export const kind = new ConfigKind({
  noun: 'Cluster group', path: ([name]) => ['cluster', 'groups', name!], shape: { description: '', members: null },
  explanation: 'A group of cluster members, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
});

export const create: Run = async (invocation) => {
  const { server, names: [name = ''] } = await kind.find(invocation);
  const given = invocation.terminal.inputIsTerminal ? null : (await parseYaml((await invocation.terminal.readAll()).toString('utf8'))) as Raw | null;
  await invocation.run(server, 'POST', url(['cluster', 'groups']), { ...kind.writable(given), name });
  if (!invocation.flags.bool('quiet')) invocation.print(`Cluster group ${name} created`);
};

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  await requireCluster(server);
  const groups = await server.get<Group[]>(url(['cluster', 'groups'], { recursion: 1 }));
  const rows = groups.map((one) => [one.name, one.description, String(one.members?.length ?? 0)]);
  invocation.printList(['NAME', 'DESCRIPTION', 'MEMBERS'], sortRows(rows), groups);
};

/** Exchanges the groups of the member that the first argument names. */
function changeGroups(change: (now: readonly string[], argument: string, member: string) => readonly string[], said: (member: string, argument: string) => string): Run {
  return async (invocation) => {
    const { server, name } = await invocation.place(invocation.arg(0));
    if (name === '') throw invalid('Missing cluster member name');
    const argument = invocation.arg(1);
    const path = url(['cluster', 'members', name]);
    const { value, etag } = await server.fetch<Raw & { groups: string[] | null }>(path);
    await invocation.run(server, 'PUT', path, { ...memberKind.writable(value), groups: change(value.groups ?? [], argument, name) }, '', { 'if-match': etag });
    if (!invocation.flags.bool('quiet')) invocation.print(said(name, argument));
  };
}

export const assign = changeGroups(
  (_now, groups) => (groups === '' ? [] : groups.split(',')),
  (member, groups) => `Cluster member ${member} added to cluster groups ${groups === '' ? '(none)' : groups}`,
);

export const remove = changeGroups((now, group, member) => {
  if (!now.includes(group)) throw invalid(`Cluster group ${group} isn't currently applied to ${member}`);
  return now.filter((one) => one !== group);
}, (member, group) => `Cluster member ${member} removed from group ${group}`);
