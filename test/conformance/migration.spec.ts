import { afterAll, beforeAll, describe } from 'vitest';
import { directions, linesOf, MigrationServers } from '../support/migration-servers.js';
import { Target } from '../support/target.js';

/**
 * Copies and moves between two servers, by either client: from LXD to Roost, back, and between two of ours, come to the same as between two of LXD. Each direction runs the same lines, in
 * which `src:` and `dst:` are the servers; what LXD and its client make of them is the measure.
 */
const servers = new MigrationServers(41);

beforeAll(() => servers.start(), 120_000);
afterAll(() => servers.destroy(), 120_000);

const show = (name: string, query = ''): string => `lxc query 'dst:/1.0/instances/${name}${query}' && lxc query 'dst:/1.0/instances/${name}/snapshots?recursion=1${query.replace('?', '&')}'`;
const content = (name: string): string => `lxc file pull dst:${name}/root/mark - && lxc file pull dst:${name}/bin/busybox - | sha256sum`;

const owners = "lxc exec dst:c2 -- stat -c '%u:%g %n' /data /data/f";

const lines = linesOf(`
  lxc init src:bb src:c1 -q -c user.mark=one && echo first | lxc file push - src:c1/root/mark --mode 640 --uid 7
  lxc snapshot src:c1 s0 && echo second | lxc file push - src:c1/root/mark && lxc snapshot src:c1 s1 && lxc config set src:c1 user.mark=two
  lxc copy src:c1 dst:
  ${show('c1')}
  ${content('c1')}
  lxc copy src:c1 dst:d2 --instance-only --mode=push
  lxc copy src:c1 dst:d3 --mode=relay -e -c user.x=1 -s other --instance-only
  ${show('d3')}
  ${content('d3')}
  lxc copy src:c1/s0 dst:d4
  ${show('d4')}
  ${content('d4')}
  lxc copy src:c1 dst:d5 --target-project pj --mode=push
  ${show('d5', '?project=pj')}
  lxc copy src:c1 dst:c1
  lxc copy src:c1 dst:d6 -s nope --instance-only
  ${show('d6')}
  lxc copy src:c1 dst:d8 --no-profiles
  lxc copy src:c1 dst:d6 -c nope=1
  lxc copy src:c1/nope dst:d6
  lxc delete src:c1/s0 && lxc snapshot src:c1 s2 && echo third | lxc file push - src:c1/root/mark
  lxc config set dst:c1 user.own=1 && lxc copy src:c1 dst:c1 --refresh -c user.y=2
  (${show('c1')}) | sed 's/apply_template": "create/apply_template": "copy/'
  ${content('c1')}
  lxc restore dst:c1 s1 && ${content('c1')}
  lxc move src:c1 src:c8 -c user.x=1
  lxc move src:c1/s2 src:c1/s3 --no-profiles
  lxc move src:c1 -p default 2>&1 | tail -1
  lxc copy src:c1 dst:c1 --refresh --no-profiles
  lxc copy src:c1/s2 dst:x1 --refresh
  lxc move src:c1 src:x1 --target m1
  lxc move src:c1 dst:x1 --target m1
  lxc move src:c1/s2 dst:x1 --mode=push
  lxc query src:/1.0/instances/c1/snapshots && ${content('x1')} && lxc delete dst:x1
  lxc start src:c1 2>/dev/null >&2 && lxc copy src:c1 dst:x1 --stateless --instance-only && lxc list src:c1 -f csv -c ns && lxc list dst:x1 -f csv -c ns && lxc delete dst:x1
  lxc move src:c1 dst:m1 --stateless && lxc list dst:m1 -f csv -c ns && lxc stop -f dst:m1
  ${show('m1')}
  lxc list src: -f csv -c ns
  lxc list dst: -f csv -c nsS
  lxc delete dst:c1 dst:d2 dst:d3 dst:d4 dst:d6 dst:m1 && lxc delete dst:d5 --project pj
  lxc storage volume create src:default v1 user.x=1 && lxc storage volume snapshot src:default v1 s0
  lxc storage volume copy src:default/v1 dst:default/w1 && lxc storage volume snapshot src:default v1 s1
  lxc storage volume copy src:default/v1 dst:default/w1
  lxc storage volume copy src:default/v1 dst:default/w1 --refresh --mode=push
  lxc storage volume copy src:default/v1 dst:other/w2 --volume-only --mode=relay
  lxc storage volume copy src:default/v1 dst:nope/w3
  lxc storage volume move src:default/v1 dst:default/w3
  lxc storage volume show dst:default w1 && lxc query 'dst:/1.0/storage-pools/default/volumes/custom/w1/snapshots?recursion=1'
  for p in src:default dst:default dst:other; do lxc storage volume list $p type=custom -f csv; done
  lxc storage volume delete dst:default w1 && lxc storage volume delete dst:other w2 && lxc storage volume delete dst:default w3
  lxc storage volume create src:default a1 && lxc storage volume snapshot src:default a1 s0 && lxc init src:bb src:c2 -q && lxc storage volume attach src:default a1 c2 data /data
  lxc start src:c2 2>/dev/null; lxc exec src:c2 -- sh -c 'echo x >/data/f && chown 7:8 /data/f' && lxc storage volume snapshot src:default a1 s1 && lxc stop -f src:c2
  lxc storage volume copy src:default/a1 dst:default/a1 && lxc copy src:c2 dst: --instance-only && lxc start dst:c2 2>/dev/null; ${owners}
  lxc start src:c2 2>/dev/null; lxc exec src:c2 -- chown 9:9 /data/f; lxc stop -f src:c2; lxc stop -f dst:c2 && lxc storage volume copy src:default/a1 dst:default/a1 --refresh && lxc start dst:c2 2>/dev/null; ${owners}
  lxc stop -f dst:c2 && lxc storage volume restore dst:default a1 s1 && lxc start dst:c2 2>/dev/null; ${owners}
  lxc stop -f dst:c2; lxc delete src:c2 dst:c2; lxc storage volume delete src:default a1; lxc storage volume delete dst:default a1
`);

/** Lines about owners of files, which do not depend on who asks. */
const ofOwners = /\b(a1|c2)\b/;
/** LXD takes files that come for a volume it has shifted to be shifted as well. Ours never are. */
const losesOwners = /(--refresh|restore).*exec dst:c2/;

describe.skipIf(Target.whyNotBoth() !== '')('copies and moves between servers', () => {
  const clients = [['lxc', {}], ['roost', { PATH: `${servers.compat}:${process.env['PATH']}` }]] as const;
  for (const [program, environment] of clients) {
    for (const [from, to] of directions) {
      const skip = (line: string): boolean => ofOwners.test(line) && (program === 'roost' || (to === 'lxd' && from === 'roost' && losesOwners.test(line)));
      describe(`by ${program} from ${from} to ${to}`, () => servers.compare(lines, from, to, environment, skip));
    }
  }
});
