import type { ApiClient } from '#client';
import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
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
  // Who the server is decides only how the answer is shown: both questions are asked at once.
  const usual = asked === usualColumns;
  const allProjects = flags.bool('all-projects');
  const possible = parseColumns(asked, { clustered: true, allProjects, usual });
  if (invocation.config.remote(place.remote).protocol === 'simplestreams') await invocation.server(place.remote);
  const api = invocation.api(place.remote);
  const loading = load(api, possible, filters, allProjects).finally(() => api.close());
  loading.catch(() => undefined);
  const server = await invocation.server(place.remote);
  const columns = parseColumns(asked, { clustered: server.clustered, allProjects, usual });
  const instances = (await loading).filter((one) => fits(one, filters));
  invocation.printList(columns.map((one) => one.heading), sortRows(instances.map((one) => columns.map((column) => column.value(one)))), instances);
};

/** Everything in one request where the state is wanted; else what costs less. */
async function load(api: ApiClient, columns: readonly Column[], filters: readonly string[], allProjects: boolean): Promise<FullInstance[]> {
  const query = { 'all-projects': allProjects ? 'true' : '' };
  const needsAll = columns.some((one) => one.needs !== undefined) || filters.some((filter) => /^ipv[46]=/.test(filter));
  if (needsAll) return api.get<FullInstance[]>(url(['instances'], { ...query, recursion: 2 }));
  const short = await api.get<Omit<FullInstance, 'state' | 'snapshots'>[]>(url(['instances'], { ...query, recursion: 1 }));
  return short.map((one) => ({ ...one, backups: null, state: null, snapshots: null }));
}
