import type { ApiClient } from '#client';
import { AppError, invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { fits } from './list-filters.js';
import { columns, parseColumns, type Column, type FullInstance } from './list-columns.js';

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
  const usual = asked === usualColumns;
  const allProjects = flags.bool('all-projects');
  const possible = parseColumns(asked, { clustered: true, allProjects, usual });
  const { protocol, public: isPublic } = invocation.config.remote(place.remote);
  if (isPublic || protocol === 'simplestreams') await invocation.server(place.remote);
  // On the local socket one request is enough; over the network it may have to be another member that answers it.
  const api = invocation.isLocal(place.remote) ? invocation.api(place.remote) : (await invocation.server(place.remote)).api;
  const loading = load(api, possible, filters, allProjects).finally(() => api.close());
  // A server that cannot be reached is complained of in the words of all commands: they ask it first who it is.
  const all = await loading.catch(async (error: unknown) => {
    if (AppError.is(error, 'unavailable')) await invocation.server(place.remote);
    throw error;
  });
  const clustered = possible.includes(columns['L']!) && await isClustered(invocation, place.remote, all);
  const wanted = parseColumns(asked, { clustered, allProjects, usual });
  const instances = all.filter((one) => fits(one, filters));
  invocation.printList(wanted.map((one) => one.heading), sortRows(instances.map((one) => wanted.map((column) => column.value(one)))), instances);
};

/** Members give their name to what is on them; only of nothing has to be asked. */
async function isClustered(invocation: Invocation, remote: string, instances: readonly FullInstance[]): Promise<boolean> {
  const first = instances[0]?.location ?? '';
  return first === '' ? (await invocation.server(remote)).clustered : first !== 'none';
}

/** Everything in one request where the state is wanted; else what costs less. */
async function load(api: ApiClient, wanted: readonly Column[], filters: readonly string[], allProjects: boolean): Promise<FullInstance[]> {
  const query = { 'all-projects': allProjects ? 'true' : '' };
  const needsAll = wanted.some((one) => one.needs !== undefined) || filters.some((filter) => /^ipv[46]=/.test(filter));
  if (needsAll) return api.get<FullInstance[]>(url(['instances'], { ...query, recursion: 2 }));
  const short = await api.get<Omit<FullInstance, 'state' | 'snapshots'>[]>(url(['instances'], { ...query, recursion: 1 }));
  return short.map((one) => ({ ...one, backups: null, state: null, snapshots: null }));
}
