import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
  /** Members with snapshots of it, or a directory for some. */
  readonly snapshots: readonly string[];
  /** `member: name` of what was being made or removed of it. */
  readonly unfinished: readonly string[];
}

export function whereabouts(cluster: Cluster, name: string, asked: ClusterMember): Whereabouts {
  const has = (path: string): string[] => cluster.members.filter((member) => existsSync(join(member.dir, path))).map((member) => member.name);
  const rows = asked.lxc('list', '--format', 'csv', '--columns', 'nL').stdout.split('\n').map((line) => line.split(','));
  return {
    listed: rows.filter(([listed]) => listed === name).map(([, location]) => location ?? ''),
    onDisk: has(`storage-pools/default/containers/${name}/rootfs`), linked: has(`containers/${name}`),
    snapshots: has(`storage-pools/default/containers-snapshots/${name}`),
    unfinished: cluster.members.flatMap((member) => hidden(member, name).map((found) => `${member.name}: ${found}`)),
  };
}

function hidden(member: ClusterMember, name: string): string[] {
  const path = join(member.dir, 'storage-pools/default/containers');
  return existsSync(path) ? readdirSync(path).filter((found) => found.startsWith('.') && (found.endsWith(`-${name}`) || found.startsWith('.roost-send-'))) : [];
}

/** Sentences about what is wrong with it; none when one whole instance is on exactly one member. */
export function flaws(cluster: Cluster, name: string, asked: ClusterMember, file: string, content: string): string[] {
  const { listed, onDisk, linked, snapshots, unfinished } = whereabouts(cluster, name, asked);
  const [location] = listed;
  if (listed.length !== 1 || location === undefined) return [`${name} is listed ${listed.length} times: ${listed.join(', ')}`];
  const wrong: string[] = [];
  if (onDisk.join() !== location) wrong.push(`${name} is on ${location}, but root file systems are on ${onDisk.join(', ') || 'none'}`);
  if (linked.join() !== location) wrong.push(`${name} is on ${location}, but links to it are on ${linked.join(', ') || 'none'}`);
  if (snapshots.some((member) => member !== location)) wrong.push(`${name} is on ${location}, but snapshots are on ${snapshots.join(', ')}`);
  if (unfinished.length > 0) wrong.push(`${name} has left ${unfinished.join(', ')}`);
  const path = join(cluster.members.find((member) => member.name === location)!.dir, `storage-pools/default/containers/${name}/rootfs`, file);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== content) wrong.push(`${name} on ${location} is not whole: ${file}`);
  return wrong;
}
