import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterNetwork } from '../support/cluster-network.js';
import { needsRoot, unmet } from '../support/needs.js';

const top = resolve(import.meta.dirname, '../..');
const lacks = needsRoot || (spawnSync('apt-get', ['--version']).status === 0 ? '' : 'apt is missing');

/** Two machines, as far as mount and network namespaces make machines, on which nothing but `deploy/up` is run. */
describe.skipIf(unmet('a cluster by deploy/up', lacks))('deploy/up on two machines', () => {
  const root = mkdtempSync('/tmp/rc-');
  const network = new ClusterNetwork(root);
  const machines = [1, 2];

  const on = (machine: number, line: string, timeout = 110_000): { code: number | null; out: string } => {
    const here = join(root, `m${machine}`);
    const state = join(here, 'd');
    const env = {
      PATH: `${join(here, 'bin')}:${process.env['PATH']}`, HOME: here, LANG: 'C.UTF-8', ROOST_SUPERVISE: '1', ROOST_USER: `rt-c${machine}-${process.pid}`, ROOST_DIR: state, LXD_DIR: state,
      ROOST_PREFIX: join(here, 'prefix'), ROOST_RUN_DIR: join(here, 'run'), ROOST_LOG_DIR: join(here, 'log'), ROOST_BIN_DIR: join(here, 'bin'), LXD_CONF: join(here, 'conf'),
    };
    const [command, ...words] = network.enter(machine);
    const ended = spawnSync(command!, [...words, 'env', '--chdir', top, 'sh', '-c', line], { env, encoding: 'utf8', timeout, input: '' });
    return { code: ended.status, out: ended.stdout + ended.stderr };
  };
  const succeed = (machine: number, line: string): string => {
    const { code, out } = on(machine, line);
    expect(code, `${line}\n${out}`).toBe(0);
    return out;
  };

  beforeAll(async () => {
    chmodSync(root, 0o711);
    await network.open();
    for (const machine of machines) {
      mkdirSync(join(root, `m${machine}`), { mode: 0o711 });
      await network.add(machine);
      succeed(machine, 'deploy/up');
    }
  });
  afterAll(() => {
    for (const machine of machines) if (existsSync(join(root, `m${machine}/d`))) on(machine, 'deploy/down --yes');
    network.close();
    spawnSync(join(top, 'test/support/cluster-sweep'), [root]);
  });

  it('makes a cluster of the first without losing what it has', () => {
    const out = succeed(1, `deploy/up --bootstrap alpha --address ${ClusterNetwork.address(1)}`);

    expect(out).toContain('deploy/up --join TOKEN');
    expect(succeed(1, 'lxc list -f csv -c nsL')).toBe('first,RUNNING,alpha\n');
    expect(succeed(1, `deploy/up --bootstrap alpha --address ${ClusterNetwork.address(1)}`)).not.toContain('Making a cluster');
  });

  it('asks before a join deletes what the second has, and takes no for an answer', () => {
    const token = succeed(1, 'lxc cluster add beta').trim().split('\n').at(-1)!;

    const refused = on(2, `deploy/up --join ${token} --address ${ClusterNetwork.address(2)}`);
    expect(refused.code).not.toBe(0);
    expect(succeed(2, 'lxc list -f csv -c ns')).toBe('first,RUNNING\n');

    succeed(2, `deploy/up --join ${token} --address ${ClusterNetwork.address(2)} --yes`);
    expect(succeed(2, 'lxc list -f csv -c nsL')).toBe('first,RUNNING,alpha\n');
    expect(succeed(1, 'lxc cluster list -f csv').match(/ONLINE/g)).toHaveLength(2);
    succeed(1, 'lxc launch busybox second --target beta && lxc exec second -- true');
  });

  it('takes a member out of its cluster when it is removed from its machine', () => {
    succeed(2, 'deploy/down --yes');

    expect(succeed(1, 'lxc cluster list -f csv').trim().split('\n')).toHaveLength(1);
    expect(succeed(1, 'lxc list -f csv -c nsL')).toBe('first,RUNNING,alpha\n');
    succeed(1, 'deploy/down --yes');
    expect(existsSync(join(root, 'm1/d'))).toBe(false);
  });
});
