import { wrap } from '#kernel';
import { listNames, type Api } from './init/api.js';

/**
 * Deletes everything the server manages, dependants first: instances, images, profiles, networks, pools, projects. For `deploy/down` and
 * test beds; the caller has asked. Stops at the first thing that cannot be deleted, naming it.
 */
export async function purge(api: Api, report: (line: string) => void): Promise<void> {
  const projects = await listNames(api, '/1.0/projects');
  for (const project of projects) await purgeProject(api, project, report);
  for (const project of projects.filter((name) => name !== 'default')) await remove(api, `/1.0/projects/${encodeURIComponent(project)}`, report);
  await api.put('/1.0/profiles/default', { config: {}, devices: {}, description: '' });
  for (const pool of await listNames(api, '/1.0/storage-pools')) await remove(api, `/1.0/storage-pools/${encodeURIComponent(pool)}`, report);
}

async function purgeProject(api: Api, project: string, report: (line: string) => void): Promise<void> {
  const query = `project=${encodeURIComponent(project)}`;
  const instances = await api.get<{ name: string; status: string }[]>(`/1.0/instances?recursion=1&${query}`);
  for (const { name, status } of instances) {
    const url = `/1.0/instances/${encodeURIComponent(name)}`;
    if (status !== 'Stopped') await api.put(`${url}/state?${query}`, { action: 'stop', force: true, timeout: -1 });
    // An ephemeral instance is gone once it has stopped.
    await remove(api, `${url}?${query}`, report, true);
  }
  for (const image of await listNames(api, `/1.0/images?${query}`)) await remove(api, `/1.0/images/${image}?${query}`, report, true);
  for (const profile of await listNames(api, `/1.0/profiles?${query}`)) {
    if (profile === 'default') await api.put(`/1.0/profiles/default?${query}`, { config: {}, devices: {}, description: '' });
    else await remove(api, `/1.0/profiles/${encodeURIComponent(profile)}?${query}`, report, true);
  }
  const networks = await api.get<{ name: string; managed: boolean }[]>(`/1.0/networks?recursion=1&${query}`);
  for (const { name } of networks.filter((network) => network.managed)) await remove(api, `/1.0/networks/${encodeURIComponent(name)}?${query}`, report, true);
}

async function remove(api: Api, path: string, report: (line: string) => void, maybeGone = false): Promise<void> {
  try {
    await api.delete(path);
    report(`deleted ${path}`);
  } catch (error) {
    if (maybeGone && String(error).toLowerCase().includes('not found')) return;
    throw wrap(error, `Failed deleting ${path}`);
  }
}
