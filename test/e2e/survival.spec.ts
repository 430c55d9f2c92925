import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';

/** Each process survives the other's `kill -9`, and containers survive both. */
const member = new Member();

beforeAll(async () => {
  await member.startWith({ bridge: 'svbr-r' });
  must(member, 'lxc launch bb c1');
});
afterAll(() => member.destroy());

const initPid = (): string => must(member, 'lxc query /1.0/instances/c1/state | python3 -c \'import json,sys; print(json.load(sys.stdin)["pid"])\'').trim();

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
    expect(() => process.kill(Number(before), 0)).not.toThrow();
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

  it('of the monitor does not make a second init on the same root', async () => {
    const before = initPid();
    const monitor = must(member, `pgrep -f 'lxc monitor.*${member.stateId}.* c1$' || pgrep -f 'lxc monitor.*${member.stateId}.*c1'`).trim().split('\n')[0];

    process.kill(Number(monitor), 'SIGKILL');

    expect(initPid()).toBe(before);
    expect(member.run('lxc start c1').stderr).toContain('already running');
    must(member, 'lxc stop c1 --force');
    expect(() => process.kill(Number(before), 0)).toThrow();
    must(member, 'lxc start c1');
    expect(initPid()).not.toBe(before);
  });
});

describe('SIGTERM and shutdown', () => {
  it('leaves instances running on SIGTERM and no process of its own', async () => {
    const before = initPid();

    await member.stop();

    expect(member.agentPid()).toBe(0);
    expect(() => process.kill(Number(before), 0)).not.toThrow();
    await member.start();
    expect(initPid()).toBe(before);
  });

  it('stops instances on shutdown, exits 0, and the next start restores what ran', async () => {
    const before = initPid();

    expect(member.daemon(['shutdown', '--timeout=60']).code).toBe(0);
    expect(() => process.kill(Number(before), 0)).toThrow();
    await member.stop();
    await member.start();

    await eventually(() => member.instances(), (all) => all.every(({ status }) => status === 'Running'));
  });

  it('refuses a second daemon on the same state directory', () => {
    const second = member.daemon(['--group', 'root']);
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain('Another daemon runs');
  });
});
