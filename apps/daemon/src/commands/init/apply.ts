import { AppError, invalid, wrap } from '#kernel';
import { bootstrapCluster, joinCluster } from './cluster.js';
import type { Api } from './api.js';
import type { Preseed } from './preseed.js';

type Undo = () => Promise<unknown>;

/**
 * Brings the server to what the preseed describes, in the order things depend on each other: server configuration, projects, pools,
 * networks, profiles. What exists is updated, what does not is created. The first failure takes back everything done before it.
 */
export async function applyPreseed(api: Api, preseed: Preseed): Promise<void> {
  if (preseed.cluster && (await joinCluster(api, preseed.cluster))) return;
  const undo: Undo[] = [];
  try {
    await applyServerConfig(api, preseed.config, undo);
    for (const item of preseed.projects) await applyEntity(api, undo, { noun: 'local member project', path: '/1.0/projects', query: '', name: item.name, body: item });
    for (const item of preseed.storage_pools) {
      await applyEntity(api, undo, { noun: 'storage pool', title: 'Storage pool', path: '/1.0/storage-pools', query: '', name: item.name, body: item, fixed: ['driver'] });
    }
    for (const { project, ...item } of preseed.networks) {
      const query = project && project !== 'default' ? `?project=${encodeURIComponent(project)}` : '';
      await applyEntity(api, undo, {
        noun: 'local member network', path: '/1.0/networks', query, name: item.name, body: item, where: ` in project "${project || 'default'}"`,
      });
    }
    for (const item of preseed.profiles) await applyEntity(api, undo, { noun: 'profile', path: '/1.0/profiles', query: '', name: item.name, body: item });
    if (preseed.cluster) await bootstrapCluster(api, preseed.cluster);
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => undefined);
    throw error;
  }
}

async function applyServerConfig(api: Api, config: Record<string, string>, undo: Undo[]): Promise<void> {
  if (Object.keys(config).length === 0) return;
  const before = await api.get<{ config: Record<string, unknown> }>('/1.0');
  try {
    await api.put('/1.0', { config: { ...before.config, ...config } });
  } catch (error) {
    throw wrap(error, 'Failed to update server configuration');
  }
  undo.push(() => api.put('/1.0', { config: before.config }));
}

interface Entity {
  readonly noun: string;
  readonly path: string;
  readonly query: string;
  readonly name: string;
  readonly body: { readonly description: string; readonly config: Record<string, string>; readonly devices?: Record<string, Record<string, string>> };
  /** Fields that only creation takes. */
  readonly fixed?: readonly string[];
  readonly where?: string;
  /** Where a sentence starts with it. */
  readonly title?: string;
}

interface Existing {
  description: string;
  config: Record<string, string>;
  devices?: Record<string, Record<string, string>>;
}

async function applyEntity(api: Api, undo: Undo[], entity: Entity): Promise<void> {
  const url = `${entity.path}/${encodeURIComponent(entity.name)}${entity.query}`;
  const existing = await api.get<Existing>(url).catch((error: unknown) => {
    if (AppError.is(error, 'not-found')) return null;
    throw error;
  });
  if (existing === null) {
    try {
      await api.post(`${entity.path}${entity.query}`, entity.body);
    } catch (error) {
      throw wrap(error, `Failed to create ${entity.noun} "${entity.name}"${entity.where ?? ''}`);
    }
    undo.push(() => api.delete(url));
    return;
  }
  for (const field of entity.fixed ?? []) {
    const [wanted, is] = [(entity.body as Record<string, unknown>)[field], (existing as unknown as Record<string, unknown>)[field]];
    // Absent is whatever it is.
    if (wanted && wanted !== is) throw invalid(`${entity.title ?? entity.noun} "${entity.name}"${entity.where ?? ''} is of type "${String(is)}" instead of "${String(wanted)}"`);
  }
  const before = { description: existing.description, config: existing.config, ...(existing.devices ? { devices: existing.devices } : {}) };
  const after = {
    description: entity.body.description || existing.description,
    config: { ...existing.config, ...entity.body.config },
    ...(entity.body.devices ? { devices: { ...existing.devices, ...entity.body.devices } } : {}),
  };
  try {
    await api.put(url, after);
  } catch (error) {
    throw wrap(error, `Failed to update ${entity.noun} "${entity.name}"${entity.where ?? ''}`);
  }
  undo.push(() => api.put(url, before));
}
