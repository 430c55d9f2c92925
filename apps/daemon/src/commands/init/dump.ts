import { stringify } from 'yaml';
import type { Api } from './api.js';
import type { ClusterPreseed, Preseed } from './preseed.js';

interface Described { name: string; description: string; config: Record<string, string> }
type Network = Described & { type: string; managed: boolean };
type Pool = Described & { driver: string };
type Profile = Described & { devices: Record<string, Record<string, string>> };

/** `init --dump`: the server as a preseed that would make it again. Keys in the order LXD prints them. */
export async function dumpPreseed(api: Api): Promise<string> {
  const server = await api.get<{ config: Record<string, unknown> }>('/1.0');
  const projects = await api.get<Described[]>('/1.0/projects?recursion=1');
  const pools = await api.get<Pool[]>('/1.0/storage-pools?recursion=1');
  const profiles = await api.get<Profile[]>('/1.0/profiles?recursion=1');
  const networks: object[] = [];
  for (const project of projects) {
    if (project.name !== 'default' && project.config['features.networks'] !== 'true') continue;
    for (const network of await api.get<Network[]>(`/1.0/networks?recursion=1&project=${encodeURIComponent(project.name)}`)) {
      if (!network.managed) continue;
      networks.push({ config: sorted(network.config), description: network.description, name: network.name, type: network.type, project: project.name });
    }
  }
  return stringify({
    config: sorted(server.config),
    networks,
    storage_pools: pools.map((pool) => ({ config: sorted(pool.config), description: pool.description, name: pool.name, driver: pool.driver })),
    profiles: profiles.map((profile) => ({
      config: sorted(profile.config), description: profile.description,
      devices: Object.fromEntries(Object.entries(sorted(profile.devices)).map(([name, device]) => [name, sorted(device)])), name: profile.name,
    })),
    projects: projects.map((project) => ({ config: sorted(project.config), description: project.description, name: project.name })),
  }, { version: '1.1', indentSeq: false });
}

/** What the questions came to, with its keys in the order LXD prints them. */
export function preseedYaml(preseed: Preseed): string {
  const named = ({ config, description, name }: Described): Described => ({ config: sorted(config), description, name });
  return stringify({
    config: sorted(preseed.config),
    networks: preseed.networks.map((network) => ({ ...named(network), type: network.type, project: network.project })),
    storage_pools: preseed.storage_pools.map((pool) => ({ ...named(pool), driver: pool.driver })),
    profiles: preseed.profiles.map(({ config, description, devices, name }) => ({
      config: sorted(config), description, devices: Object.fromEntries(Object.entries(sorted(devices)).map(([key, device]) => [key, sorted(device)])), name,
    })),
    projects: preseed.projects.map(named),
    cluster: preseed.cluster ? clusterYaml(preseed.cluster) : null,
  }, { version: '1.1', indentSeq: false });
}

function clusterYaml(cluster: ClusterPreseed): ClusterPreseed {
  const {
    server_name, enabled, member_config, cluster_address, cluster_certificate, server_address, cluster_password, cluster_certificate_path, cluster_token,
  } = cluster;
  return { server_name, enabled, member_config, cluster_address, cluster_certificate, server_address, cluster_password, cluster_certificate_path, cluster_token };
}

function sorted<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
