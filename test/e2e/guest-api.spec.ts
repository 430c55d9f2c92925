import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildForGuests } from '../support/guest-programs.js';
import { eventually, Member } from '../support/member.js';
import { must } from '../support/pair.js';
import { UnixApi } from '../support/unix-api.js';

/** /dev/lxd/sock as a container sees it that means no good, and through the deaths of those who serve it. */
const member = new Member();

beforeAll(async () => {
  await member.startWith();
  buildForGuests(join(member.root, 'tools'), 'guest-call');
  must(member, `lxc profile device add default tools disk source=${join(member.root, 'tools')} path=/tools`);
  must(member, 'lxc launch bb c1 -c user.me=c1 -c security.nesting=true');
  must(member, 'lxc launch bb c2 -c user.me=c2 -c security.privileged=true');
});
afterAll(async () => expect(await member.destroy()).toEqual([]));

const whoAmI = (name: string, prefix = ''): string => must(member, `lxc exec ${name} -- ${prefix} /tools/guest-call GET /1.0/config/user.me`).split('\r\n\r\n')[1] ?? '';

describe('who calls', () => {
  it('is told by the container it is in, also from a pid namespace inside it', () => {
    expect(whoAmI('c1')).toBe('c1');
    expect(whoAmI('c2')).toBe('c2');
    expect(whoAmI('c1', 'unshare -p -f')).toBe('c1');
    expect(whoAmI('c2', 'unshare -p -f -m')).toBe('c2');
  });

  it('is nobody on the host', () => {
    const answer = must(member, `printf 'GET /1.0 HTTP/1.0\\r\\n\\r\\n' | curl -s -m 5 --unix-socket ${member.dir}/devlxd/sock http://x/1.0`);
    expect(answer).toBe('pid not in container?\n');
  });

  it('is the process that called, gone or not: nobody else gets its answers', () => {
    // The kernel keeps the caller's number; by now it may be somebody else's.
    expect(must(member, 'lxc exec c1 -- sh -c "/tools/guest-call handed /1.0/config/user.me; sleep 1"')).toMatch(/^$|pid not in container|c1$/);
  });

  it('cannot put another socket in the place of ours, not even from a privileged container', () => {
    expect(member.run('lxc exec c2 -- rm -f /dev/lxd/sock').code).not.toBe(0);
    expect(member.run('lxc exec c2 -- touch /dev/lxd/mine').code).not.toBe(0);
    expect(whoAmI('c1')).toBe('c1');
  });
});

describe('a flood from inside', () => {
  it('slows neither the API nor other guests, and ends without a trace', async () => {
    const api = new UnixApi(join(member.dir, 'unix.socket'));
    const flood = spawn('lxc', ['exec', 'c1', '--', '/tools/guest-call', 'flood', '5'], { env: member.env, stdio: 'ignore' });
    const ended = new Promise((resolve) => flood.once('exit', resolve));
    const times: number[] = [];
    const begun = performance.now();
    while (performance.now() - begun < 4000) {
      const at = performance.now();
      expect((await api.call('GET', '/1.0/instances?recursion=1')).status).toBe(200);
      times.push(performance.now() - at);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(whoAmI('c2')).toBe('c2');
    await ended;
    api.close();
    times.sort((a, b) => a - b);
    process.stderr.write(`API under a flood of the guest API: median ${times[times.length >> 1]!.toFixed(1)} ms, worst ${times.at(-1)!.toFixed(1)} ms\n`);
    expect(times[times.length >> 1]).toBeLessThan(100);
    expect(whoAmI('c1')).toBe('c1');
  });
});

describe('the socket in running containers', () => {
  it('outlives the daemon', async () => {
    await member.stop(true);
    await member.start();
    await eventually(() => member.run('lxc exec c1 -- /tools/guest-call GET /1.0').stdout, (text) => text.includes('api_version'));
  });

  it('outlives the agent', async () => {
    process.kill(member.agentPid(), 'SIGKILL');
    await eventually(() => member.run('lxc exec c1 -- /tools/guest-call GET /1.0/config/user.me').stdout, (text) => text.endsWith('c1'));
    expect(whoAmI('c2')).toBe('c2');
  });
});
