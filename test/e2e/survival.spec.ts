import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';

/** Each process survives the other's `kill -9`, and containers survive both. */
const member = new Member();

beforeAll(async () => {
  await member.startWith({ bridge: 'svbr-r' });
  must(member, 'lxc launch bb c1');
});
afterAll(async () => expect(await member.destroy()).toEqual([]));

/** Of c1, as the daemon reports it; fails when it does not run. */
function initPid(): string {
  const { pid } = JSON.parse(must(member, 'lxc query /1.0/instances/c1/state')) as { pid: number };
  expect(pid).toBeGreaterThan(0);
  return String(pid);
}

/** A dead process may wait for the host's init to collect it. */
function runs(pid: string): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

describe('kill -9', () => {
  it('of the agent leaves the container running, and the daemon finds a new agent', async () => {
    const before = initPid();
    const agent = member.agentPid();

    process.kill(agent, 'SIGKILL');
    await eventually(() => member.run('lxc exec c1 -- true').code, (code) => code === 0);

    expect(member.agentPid()).not.toBe(agent);
    expect(initPid()).toBe(before);
  });

  it('of the daemon leaves the container running, and the next start adopts it', async () => {
    const before = initPid();

    await member.stop(true);
    expect(runs(before)).toBe(true);
    await member.start();

    expect(initPid()).toBe(before);
    expect(must(member, 'lxc exec c1 -- echo alive').trim()).toBe('alive');
  });

  it('of both at once leaves the container running', async () => {
    const before = initPid();

    process.kill(member.agentPid(), 'SIGKILL');
    await member.stop(true);
    await member.start();

    expect(initPid()).toBe(before);
    must(member, 'lxc stop c1 --force');
    must(member, 'lxc start c1');
  });

  it('of the agent is not noticed by the next command', () => {
    const agent = member.agentPid();

    process.kill(agent, 'SIGKILL');

    expect(member.run('lxc exec c1 -- echo patient')).toMatchObject({ code: 0, stdout: 'patient\n' });
    expect(member.run('lxc list -f csv -c ns')).toMatchObject({ code: 0, stdout: 'c1,RUNNING\n' });
  });

  it('of an init is noticed at once, and takes an ephemeral instance with it', async () => {
    must(member, 'lxc launch bb e1 --ephemeral');
    const { pid } = JSON.parse(must(member, 'lxc query /1.0/instances/e1/state')) as { pid: number };

    process.kill(Number(initPid()), 'SIGKILL');
    process.kill(pid, 'SIGKILL');

    // Sooner than the agent looks by itself: it was told.
    await eventually(() => member.instances().map(({ name, status }) => `${name} ${status}`), (all) => all.join() === 'c1 Stopped', 2500);
    must(member, 'lxc start c1');
  });

  it('of the daemon, and of inits while it is away, brings back what ran, as LXD does', async () => {
    must(member, 'lxc launch bb e1 --ephemeral');
    const before = initPid();
    await member.stop(true);
    process.kill(Number(before), 'SIGKILL');
    await eventually(() => runs(before), (alive) => !alive, 20_000);
    await member.start();

    await eventually(() => member.instances().map(({ name, status }) => `${name} ${status}`), (all) => all.join() === 'c1 Running,e1 Running', 20_000);
    expect(initPid()).not.toBe(before);
    must(member, 'lxc stop -f e1');
  });

  it('of the monitor does not make a second init on the same root', async () => {
    // The kernel ends most inits with their monitor; one that changed its identity, and any with this setting, lives on.
    must(member, 'lxc config set c1 raw.lxc "lxc.monitor.signal.pdeath = 0" && lxc restart c1 --force');
    const before = initPid();

    process.kill(member.monitorPid('c1'), 'SIGKILL');

    expect(initPid()).toBe(before);
    expect(member.run('lxc start c1').stderr).toContain('already running');
    must(member, 'lxc stop c1 --force');
    expect(runs(before)).toBe(false);
    must(member, 'lxc start c1');
    expect(initPid()).not.toBe(before);
  });

  it('of the monitor whose init goes with it leaves a stopped container that starts again', async () => {
    must(member, 'lxc config unset c1 raw.lxc && lxc restart c1 --force');

    process.kill(member.monitorPid('c1'), 'SIGKILL');
    await eventually(() => member.instances()[0]!.status, (status) => status === 'Stopped', 3000);

    await eventually(() => member.cgroups(), (left) => left.length === 0, 3000);
    must(member, 'lxc start c1');
    expect(initPid()).not.toBe('0');
  });
});

describe('SIGTERM and shutdown', () => {
  it('leaves instances running on SIGTERM and no process of its own', async () => {
    const before = initPid();

    await member.stop();

    expect(member.agentPids()).toEqual([]);
    expect(runs(before)).toBe(true);
    await member.start();
    expect(initPid()).toBe(before);
  });

  it('stops instances on shutdown, exits 0, and the next start restores what ran', async () => {
    const before = initPid();

    expect(member.daemon(['shutdown', '--timeout=60']).code).toBe(0);
    expect(runs(before)).toBe(false);
    expect(await member.exitCode()).toBe(0);
    await member.start();

    await eventually(() => member.instances(), (all) => all.every(({ status }) => status === 'Running'));
  });

  it('refuses a second daemon on the same state directory', () => {
    const second = member.daemon(['--group', 'root']);
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain('Another daemon runs');
  });
});

describe('haste', () => {
  it('makes each of six launches whole or nothing when the daemon is killed among them', async () => {
    const names = [1, 2, 3, 4, 5, 6].map((number) => `k${number}`);
    member.run(`for i in ${names.join(' ')}; do (timeout 20 lxc launch bb $i >/dev/null 2>&1) & done; sleep 0.3; kill -9 ${member.pid}; wait`);
    await member.stop(true);
    await member.start();

    await eventually(() => member.run('lxc query /1.0/operations').stdout, (text) => !text.includes('running'));
    const made = member.instances().filter(({ name }) => names.includes(name)).map(({ name }) => name).sort();
    const volumes = member.remains().flatMap((path) => /^storage-pools\/.*\/(k\d)$/.exec(path)?.[1] ?? []);
    expect(volumes).toEqual(made);
    for (const { name, status } of member.instances()) if (names.includes(name)) must(member, status === 'Running' ? `lxc exec ${name} -- true` : `lxc start ${name}`);
  });

  it('deletes all of them although the agent is killed among the deletions', () => {
    const names = member.instances().map(({ name }) => name).filter((name) => name.startsWith('k'));
    const result = member.run(`for i in ${names.join(' ')}; do (timeout 20 lxc delete -f $i 2>&1) & done; sleep 0.1; kill -9 ${member.agentPid()}; wait`);

    expect(result.stdout).toBe('');
    expect(member.instances().map(({ name }) => name)).toEqual(['c1']);
  });

  it('restarts a container that rebooted itself while the agent was being replaced', async () => {
    const before = initPid();

    process.kill(member.agentPid(), 'SIGKILL');
    must(member, `nsenter -t ${before} -p -m /bin/busybox reboot -f`);

    await eventually(() => member.run('lxc exec c1 -- true').code, (code) => code === 0);
    await eventually(() => (JSON.parse(must(member, 'lxc query /1.0/instances/c1/state')) as { pid: number }).pid, (pid) => pid !== 0 && String(pid) !== before);
  });

  it('gives one of several launches of the same name to one, and a clear refusal to the others', () => {
    const result = member.run('for i in 1 2 3 4; do (lxc launch bb same 2>&1; echo "code $?") & done; wait; lxc delete -f same');

    expect(result.code).toBe(0);
    expect(result.stdout.match(/^code 0$/gm)).toHaveLength(1);
    expect(result.stdout.match(/^Error: Failed creating instance record: /gm)).toHaveLength(3);
  });
});
