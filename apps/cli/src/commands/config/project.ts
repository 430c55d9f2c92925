import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { bytesIec } from '../../output/units.js';
import { url } from '../../server.js';
import { ConfigKind } from '../config-kind.js';
import { pairs } from '../keys.js';

interface ProjectView {
  readonly name: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>> | null;
  readonly used_by: readonly string[] | null;
}

export const kind = new ConfigKind({
  noun: 'Project', path: ([name]) => ['projects', name!], shape: { config: null, description: '' },
  explanation: 'A project: its configuration and description, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
});

export const create: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing project name');
  const config = pairs(invocation.flags.list('config'));
  await invocation.run(server, 'POST', url(['projects']), { config, description: '', name });
  if (!invocation.flags.bool('quiet')) invocation.print(`Project ${name} created`);
};

export const remove: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  await kind.remove(invocation);
  // Whoever worked in it works in the default one again.
  const known = invocation.config.remote(remote);
  if (known.project !== name) return;
  invocation.config.remotes.set(remote, { ...known, project: '' });
  invocation.config.save();
};

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  const projects = await server.get<ProjectView[]>(url(['projects'], { recursion: 1 }));
  // The one that "switch" chose, whatever this command was told to work in.
  const current = invocation.config.remote(server.remote).project || 'default';
  const yes = (project: ProjectView, feature: string): string => (['true', '1', 'yes', 'on'].includes((project.config?.[feature] ?? '').toLowerCase()) ? 'YES' : 'NO');
  const rows = projects.map((one) => [
    one.name === current ? `${one.name} (current)` : one.name, yes(one, 'features.images'), yes(one, 'features.profiles'), yes(one, 'features.storage.volumes'), yes(one, 'features.networks'),
    one.description, String(one.used_by?.length ?? 0),
  ]);
  invocation.printList(['NAME', 'IMAGES', 'PROFILES', 'STORAGE VOLUMES', 'NETWORKS', 'DESCRIPTION', 'USED BY'], sortRows(rows), projects);
};

export const switchTo: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  const server = await invocation.server(remote);
  await server.get(url(['projects', name]));
  invocation.config.remotes.set(remote, { ...invocation.config.remote(remote), project: name });
  invocation.config.save();
};

export const info: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const state = await server.get<{ resources: Record<string, { Limit: number; Usage: number }> }>(url(['projects', name, 'state']));
  const rows = Object.entries(state.resources).map(([resource, { Limit, Usage }]) => {
    const shown = (value: number): string => (['disk', 'memory'].includes(resource) ? bytesIec(value) : String(value));
    return [resource.toUpperCase(), Limit < 0 ? 'UNLIMITED' : shown(Limit), shown(Usage)];
  });
  invocation.printList(['RESOURCE', 'LIMIT', 'USAGE'], sortRows(rows), state);
};
