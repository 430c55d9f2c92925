import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url, type Server } from '../../server.js';
import { fits } from './list-filters.js';
import { parseColumns, type Column, type FullInstance } from './list-columns.js';

const usualColumns = 'ns46tSL';

export const list: Run = async (invocation) => {
  const { flags, args } = invocation;
  const first = args[0] ?? '';
  const hasRemote = first.includes(':') && !first.includes('=');
  const place = hasRemote ? invocation.parse(first) : { remote: invocation.config.defaultRemote, name: first };
  const filters = [place.name, ...args.slice(1)].filter((filter) => filter !== '');
  if (flags.given('project') && flags.bool('all-projects')) throw invalid("Can't specify --project with --all-projects");
  const asked = flags.bool('fast') ? 'nsacPt' : flags.text('columns');
  if (flags.bool('fast') && flags.given('columns')) throw invalid("Can't specify --fast with --columns");
  const server = await invocation.server(place.remote);
  const columns = parseColumns(asked, { clustered: server.clustered, allProjects: flags.bool('all-projects'), usual: asked === usualColumns });
  const instances = (await load(server, columns, filters, flags.bool('all-projects'))).filter((one) => fits(one, filters));
  invocation.printList(columns.map((one) => one.heading), sortRows(instances.map((one) => columns.map((column) => column.value(one)))), instances);
};

/** Everything in one request where the state is wanted; else what costs less. */
async function load(server: Server, columns: readonly Column[], filters: readonly string[], allProjects: boolean): Promise<FullInstance[]> {
  const query = { 'all-projects': allProjects ? 'true' : '' };
  const needsAll = columns.some((one) => one.needs !== undefined) || filters.some((filter) => /^ipv[46]=/.test(filter));
  if (needsAll) return server.get<FullInstance[]>(url(['instances'], { ...query, recursion: 2 }));
  const short = await server.get<Omit<FullInstance, 'state' | 'snapshots'>[]>(url(['instances'], { ...query, recursion: 1 }));
  return short.map((one) => ({ ...one, backups: null, state: null, snapshots: null }));
}
