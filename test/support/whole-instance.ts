import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.js';
import type { ClusterMember } from './cluster-member.js';

/** Where an instance is, by what the cluster says and by what lies on the members' disks. */
export interface Whereabouts {
  /** Locations in lists, one for each entry with this name: more than one is a ghost. */
  readonly listed: readonly string[];
  /** Members with a root file system of it. */
  readonly onDisk: readonly string[];
  /** Members with a link to it in `containers/`. */
  readonly linked: readonly string[];
}

export function whereabouts(cluster: Cluster, name: string, asked: ClusterMember): Whereabouts {
  const has = (path: string): string[] => cluster.members.filter((member) => existsSync(join(member.dir, path))).map((member) => member.name);
  const rows = asked.lxc('list', '--format', 'csv', '--columns', 'nL').stdout.split('\n').map((line) => line.split(','));
  return {
    listed: rows.filter(([listed]) => listed === name).map(([, location]) => location ?? ''),
    onDisk: has(`storage-pools/default/containers/${name}/rootfs`), linked: has(`containers/${name}`),
  };
}

/** Sentences about what is wrong with it; none when one whole instance is on exactly one member. */
export function flaws(cluster: Cluster, name: string, asked: ClusterMember, file: string, content: string): string[] {
  const { listed, onDisk, linked } = whereabouts(cluster, name, asked);
  const [location] = listed;
  if (listed.length !== 1 || location === undefined) return [`${name} is listed ${listed.length} times: ${listed.join(', ')}`];
  const wrong: string[] = [];
  if (onDisk.join() !== location) wrong.push(`${name} is on ${location}, but root file systems are on ${onDisk.join(', ') || 'none'}`);
  if (linked.join() !== location) wrong.push(`${name} is on ${location}, but links to it are on ${linked.join(', ') || 'none'}`);
  const path = join(cluster.members.find((member) => member.name === location)!.dir, `storage-pools/default/containers/${name}/rootfs`, file);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== content) wrong.push(`${name} on ${location} is not whole: ${file}`);
  return wrong;
}
