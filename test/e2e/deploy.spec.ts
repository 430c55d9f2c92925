import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/member.js';
import { needsRoot, unmet } from '../support/needs.js';

const top = resolve(import.meta.dirname, '../..');
const lacks = needsRoot || (spawnSync('apt-get', ['--version']).status === 0 ? '' : 'apt is missing');

/**
 * `deploy/up` and `deploy/down` with every name and place of their own, beside whatever else this machine runs. The supervised way also
 * where systemd runs: units would be those of a real installation.
 */
describe.skipIf(unmet('deploy/up and deploy/down', lacks))('deploy/up and deploy/down', () => {
  const root = mkdtempSync(join(tmpdir(), 'rt-deploy-'));
  const user = `rt-deploy-${process.pid}`;
  const member = `rt-member-${process.pid}`;
  const run = join(root, 'run');
  const state = join(root, 'state');
  const env = {
    PATH: `${join(root, 'bin')}:${process.env['PATH']}`, HOME: root, LANG: 'C.UTF-8', ROOST_SUPERVISE: '1', ROOST_USER: user, ROOST_DIR: state, LXD_DIR: state,
    ROOST_PREFIX: join(root, 'prefix'), ROOST_RUN_DIR: run, ROOST_LOG_DIR: join(root, 'log'), ROOST_BIN_DIR: join(root, 'bin'), LXD_CONF: join(root, 'conf'),
  };
  let stateId = '';

  const shell = (line: string, timeout = 60_000): { code: number | null; out: string } => {
    const ended = spawnSync('sh', ['-c', line], { env, cwd: top, encoding: 'utf8', timeout });
    return { code: ended.status, out: ended.stdout + ended.stderr };
  };
  const succeed = (line: string, timeout?: number): string => {
    const { code, out } = shell(line, timeout);
    expect(code, `${line}\n${out}`).toBe(0);
    return out;
  };
  const pidOf = (name: string): number => Number(readFileSync(join(run, `${name}.pid.child`), 'utf8'));
  const containerPid = (): string => succeed('lxc list ^first$ -f csv -c sp').trim();
  /** What of this installation is on the host, in words. */
  const traces = (): string[] => shell([
    `pgrep -af '${root}|${stateId}' | grep -v pgrep`, `grep -F '${root}/' /proc/mounts`, `losetup -a | grep -F '${root}/'`, `grep -lx 'roost:${stateId}' /sys/class/net/*/ifalias`,
    `nft list ruleset | grep 'roost ${stateId}'`, `find /sys/fs/cgroup -name 'roost-${stateId}'`, `getent passwd ${user}`, `getent group ${user}`,
    `ls -d ${state} ${run} ${join(root, 'prefix*')} ${join(root, 'log')} ${join(root, 'bin/roostd')} 2>/dev/null`,
  ].join('; ')).out.split('\n').filter((line) => line !== '' && !line.includes(' sh -c '));

  beforeAll(() => {
    // The daemon's user and the containers' mapped ids pass through.
    chmodSync(root, 0o711);
    succeed('deploy/up', 110_000);
    stateId = readFileSync(join(state, 'state-id'), 'utf8').trim();
  });
  afterAll(() => {
    if (existsSync(state)) shell('deploy/down --yes', 60_000);
    shell(`userdel ${member}`);
    rmSync(root, { recursive: true, force: true });
  });

  it('runs a container, the daemon without root', () => {
    expect(containerPid()).toMatch(/^RUNNING,\d+$/);
    expect(succeed('lxc exec first -- sh -c "hostname; id -u"')).toBe('first\n0\n');
    expect(succeed(`ps -o user:40= -p ${pidOf('daemon')}`).trim()).toBe(user);
    expect(succeed(`ps -o user= -p ${pidOf('agent')}`).trim()).toBe('root');
  });

  it('installs only what runs', () => {
    expect(Number(succeed(`du -sm ${env.ROOST_PREFIX} | cut -f1`))).toBeLessThan(250);
    expect(succeed('roostd version')).toBe('5.0.2\n');
  });

  it('does nothing twice', () => {
    const before = [pidOf('agent'), pidOf('daemon'), containerPid()];
    const out = succeed('deploy/up', 110_000);
    expect(out).not.toMatch(/Installing|Adding|First configuration|image|Launching/);
    expect([pidOf('agent'), pidOf('daemon'), containerPid()]).toEqual(before);
  });

  it('serves members of its group and nobody else', () => {
    succeed(`useradd --no-create-home --no-user-group --home-dir ${root} ${member}`);
    const conf = join(root, 'member');
    succeed(`mkdir ${conf} && chown ${member} ${conf}`);
    const as = (line: string) => shell(`LXD_CONF=${conf} setpriv --reuid ${member} --regid nogroup --init-groups ${line}`);
    expect(as('lxc list -f csv -c n').code).not.toBe(0);
    succeed(`usermod -aG ${user} ${member}`);
    expect(as('lxc list -f csv -c n').out).toContain('first');
    expect(as('lxc exec first -- echo from the container').out).toContain('from the container');
    expect(as('lxc exec first -- sh -c "exit 7"').code).toBe(7);
    expect(as(`lxc image export busybox ${conf}/image`).code).toBe(0);
    expect(as(`lxc image import ${conf}/image.tar.gz --alias again`).out).toMatch(/already exists|imported/);
  });

  it('keeps its secrets from others', () => {
    expect(statSync(join(state, 'database')).mode & 0o077).toBe(0);
    expect(statSync(join(state, 'run/agent')).mode & 0o007).toBe(0);
    expect(statSync(join(state, 'run/agent')).uid).toBe(0);
  });

  it.each([['agent'], ['daemon'], ['agent', 'daemon']])('survives kill -9 of %s %s', async (...names) => {
    const before = containerPid();
    const pids = names.map(pidOf);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    for (const [index, name] of names.entries()) await eventually(() => pidOf(name), (pid) => pid > 0 && pid !== pids[index]);
    await eventually(() => shell('roostd waitready --timeout=20 && lxc exec first -- echo alive').out, (out) => out.includes('alive'), 30_000);
    expect(containerPid()).toBe(before);
  });

  it('goes on after a killed supervisor', () => {
    const before = containerPid();
    for (const name of ['agent', 'daemon']) process.kill(Number(readFileSync(join(run, `${name}.pid`), 'utf8')), 'SIGKILL');
    succeed('deploy/up', 110_000);
    expect(containerPid()).toBe(before);
    expect(shell(`pgrep -f '${root}/prefix/dist/bundle/' | wc -l`).out.trim()).toBe('3');
  });

  it('leaves nothing behind', () => {
    const tables = shell('nft list tables').out;
    expect(traces()).not.toEqual([]);
    succeed('deploy/down --yes', 110_000);
    expect(traces()).toEqual([]);
    expect(shell('nft list tables').out.length).toBeLessThanOrEqual(tables.length);
    succeed('deploy/down --yes');
  });
});
