import { afterAll, beforeAll, describe } from 'vitest';
import { directions, linesOf, MigrationServers } from '../support/migration-servers.js';
import { Target } from '../support/target.js';

/** Volumes that do not go between servers as files: disks, from and to pools of each type. What arrives is compared by its sum with what was sent. */
const servers = new MigrationServers(45);

beforeAll(() => servers.start(['lxc storage create host:bt btrfs size=1GiB']), 120_000);
afterAll(() => servers.destroy(), 120_000);

const disk = (of: 'SRC' | 'DST', pool: string, name: string): string => `$${of}/storage-pools/${pool}/custom/default_${name}/root.img`;
const diskOfSnapshot = (of: 'SRC' | 'DST', pool: string, name: string): string => `$${of}/storage-pools/${pool}/custom-snapshots/default_${name}/root.img`;
/** The same bytes, as often in one direction as in another: a pattern, with holes. */
const scribble = (pool: string, name: string, mark: string, at: number): string =>
  `yes ${mark} | head -c 300000 | dd of=${disk('SRC', pool, name)} conv=notrunc bs=1k seek=${at} status=none`;
const sums = (pool: string, name: string, snapshots: readonly string[] = []): string =>
  [disk('DST', pool, name), ...snapshots.map((snapshot) => diskOfSnapshot('DST', pool, `${name}/${snapshot}`))].map((path) => `sha256sum <${path}; stat -c %s ${path}`).join('; ');
const described = (pool: string, name: string): string =>
  `lxc storage volume show dst:${pool} ${name} && lxc query 'dst:/1.0/storage-pools/${pool}/volumes/custom/${name}/snapshots?recursion=1'`;

/** From one pool to another; each line of the other directions is to come to the same. */
const disksBetween = (from: string, to: string): string[] => linesOf(`
  lxc storage volume create src:${from} d1 --type block size=2MiB user.x=1 && ${scribble(from, 'd1', 'first', 100)}
  lxc storage volume snapshot src:${from} d1 s0 && ${scribble(from, 'd1', 'second', 900)}
  lxc storage volume copy src:${from}/d1 dst:${to}/d1
  ${described(to, 'd1')}
  ${sums(to, 'd1', ['s0'])}
  lxc storage volume copy src:${from}/d1 dst:${to}/d2 --volume-only --mode=push
  ${described(to, 'd2')}
  ${sums(to, 'd2')}
  lxc storage volume snapshot src:${from} d1 s1 && ${scribble(from, 'd1', 'third', 1700)}
  lxc storage volume copy src:${from}/d1 dst:${to}/d1
  lxc storage volume copy src:${from}/d1 dst:${to}/d1 --refresh --mode=relay
  ${described(to, 'd1')}
  ${sums(to, 'd1', ['s0', 's1'])}
  lxc storage volume restore dst:${to} d1 s1 && ${sums(to, 'd1')}
  lxc storage volume move src:${from}/d1 dst:${to}/d3
  lxc storage volume list src:${from} type=custom -f csv; lxc storage volume list dst:${to} type=custom -f csv
  ${sums(to, 'd3', ['s0', 's1'])}
  for v in d1 d2 d3; do lxc storage volume delete dst:${to} $v; done
`);

describe.skipIf(Target.whyNotBoth() !== '')('disks between servers', () => {
  const lines = [...disksBetween('default', 'default'), ...disksBetween('bt', 'default'), ...disksBetween('default', 'bt')];
  for (const [from, to] of directions) describe(`from ${from} to ${to}`, () => servers.compare(lines, from, to));
});
