import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { must } from './pair.js';
import { Target } from './target.js';

const top = resolve(import.meta.dirname, '../..');

/** One Roost member on the real host with a pool, an image and, where asked for, a bridge; and questions about what it left on the host. */
export class Member extends Target {
  readonly image = join(this.root, 'busybox.tar.gz');

  constructor() { super('roost'); }

  async startWith(options: { readonly driver?: 'dir' | 'btrfs'; readonly bridge?: string } = {}): Promise<void> {
    await this.start();
    spawnSync('sh', ['-c', `'${top}/deploy/busybox-image' >'${this.image}'`]);
    must(this, options.driver === 'btrfs' ? 'lxc storage create default btrfs size=1GiB' : 'lxc storage create default dir');
    must(this, 'lxc profile device add default root disk path=/ pool=default');
    must(this, `lxc image import ${this.image} --alias bb`);
    if (options.bridge) {
      must(this, `lxc network create ${options.bridge} ipv4.address=10.98.73.1/24 ipv6.address=none`);
      must(this, `lxc profile device add default eth0 nic network=${options.bridge} name=eth0`);
    }
  }

  get stateId(): string { return readFileSync(join(this.dir, 'state-id'), 'utf8').trim(); }

  /** Agents whose command line names this state directory. */
  agentPids(): number[] {
    return pidsOf(`agent[^ ]*.js --state-dir ${this.dir}`);
  }

  /** The agent's pid, if need be after the daemon has started a new one. Throws rather than naming 0, which to `kill` is everybody in the test run. */
  agentPid(): number {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const [pid] = this.agentPids();
      if (pid !== undefined) return pid;
      if (Date.now() > deadline) throw new Error(`No agent of ${this.dir}`);
      spawnSync('sleep', ['0.05']);
    }
  }

  /**
   * Runs a shell line and kills the daemon or the agent `delayMs` milliseconds into it; the daemon is started again, the agent starts again by itself. Returns
   * once no operation is running any more.
   */
  async killDuring(victim: 'daemon' | 'agent', line: string, delayMs: number): Promise<void> {
    const work = this.run(`(${line}) >/dev/null 2>&1 & sleep ${delayMs / 1000}; kill -9 ${victim === 'daemon' ? this.pid : this.agentPid()}; wait`);
    if (work.code !== 0) throw new Error(`Killing the ${victim}: ${work.stderr}`);
    if (victim === 'daemon') {
      await this.stop(true);
      await this.start();
    }
    await eventually(() => this.run('lxc query /1.0/operations').stdout, (text) => !text.includes('running'), 30_000);
  }

  /** Of LXC's process beside a running instance's init. */
  monitorPid(name: string): number {
    const [pid] = pidsOf(`lxc monitor.*${this.stateId} ${name}$`);
    if (pid === undefined) throw new Error(`No monitor of ${name}`);
    return pid;
  }

  /** Cgroups of instances, in all hierarchies; `lxc.pivot`, through which LXC leaves them, is the member's. */
  cgroups(): string[] {
    return readdirSync('/sys/fs/cgroup').flatMap((controller) => {
      const path = `/sys/fs/cgroup/${controller}/roost-${this.stateId}`;
      return existsSync(path) ? readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== 'lxc.pivot').map((entry) => `${path}/${entry.name}`) : [];
    });
  }

  /** Everything on the host that belongs to instances of this member, sorted; empty when all are gone. */
  remains(): string[] {
    const left: string[] = [];
    for (const folder of ['containers', 'logs', 'devices', 'storage-pools/default/containers']) {
      const path = join(this.dir, folder);
      if (existsSync(path)) left.push(...readdirSync(path).filter((name) => !name.includes('.log')).map((name) => `${folder}/${name}`));
    }
    left.push(...this.cgroups());
    const monitors = spawnSync('pgrep', ['-af', `lxc monitor.*${this.stateId}`], { encoding: 'utf8' }).stdout.trim();
    if (monitors !== '') left.push(...monitors.split('\n'));
    return left.sort();
  }

  /** Links of the host enslaved to a bridge. */
  portsOf(bridge: string): string[] {
    return existsSync(`/sys/class/net/${bridge}/brif`) ? readdirSync(`/sys/class/net/${bridge}/brif`) : [];
  }

  instances(): { name: string; status: string }[] {
    const listed = JSON.parse(must(this, 'lxc list --format json')) as { name: string; status: string }[];
    return listed.map(({ name, status }) => ({ name, status }));
  }
}

function pidsOf(commandLine: string): number[] {
  const found = spawnSync('pgrep', ['-f', commandLine], { encoding: 'utf8' }).stdout;
  return found.split('\n').map(Number).filter((pid) => pid > 0);
}

/** Asks until `condition` holds; throws with what was last seen after `timeoutMs`. */
export async function eventually<T>(read: () => T, condition: (value: T) => boolean, timeoutMs = 10_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = read();
    if (condition(value)) return value;
    if (Date.now() > deadline) throw new Error(`Still ${JSON.stringify(value)} after ${timeoutMs} ms`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
