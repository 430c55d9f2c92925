import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findEtcd } from '../../apps/daemon/src/supervise/etcd-processes.js';
import type { ClusterMember } from './cluster-member.js';
import { must } from './pair.js';

const roostd = join(resolve(import.meta.dirname, '../..'), 'deploy/bin/roostd');

/** A machine that is a witness of a cluster on loopback addresses, run as its administrator would. */
export class WitnessMachine {
  readonly dir: string;
  readonly log: string;
  private child: ChildProcess | undefined;

  constructor(root: string, readonly name: string, private readonly address: string) {
    this.dir = join(root, name);
    this.log = join(this.dir, 'witness.log');
    mkdirSync(this.dir, { recursive: true });
  }

  /** With a token of `member`'s. */
  join(member: ClusterMember, ...options: string[]): string {
    return this.joinWith(must(member, `'${roostd}' cluster witness add ${this.name}`).trim().split('\n').at(-1)!, ...options);
  }

  /** What was said; where it failed, the complaint. */
  joinWith(token: string, ...options: string[]): string {
    const { stdout, stderr } = spawnSync(roostd, ['witness', 'join', token, '--address', this.address, ...options], { env: this.env, encoding: 'utf8', timeout: 60_000 });
    return stdout + stderr;
  }

  start(): void {
    const log = openSync(this.log, 'a');
    this.child = spawn(roostd, ['witness', 'run'], { env: this.env, stdio: ['ignore', log, log], detached: true });
    closeSync(log);
  }

  alive(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** SIGTERM, or as a machine that loses power. */
  async stop(hard = false): Promise<void> {
    const { child } = this;
    if (child !== undefined && this.alive()) {
      const gone = new Promise<void>((done) => child.once('exit', () => done()));
      child.kill(hard ? 'SIGKILL' : 'SIGTERM');
      await gone;
    }
    if (hard) for (const pid of this.etcd()) process.kill(pid, 'SIGKILL');
  }

  /** Process numbers of its etcd. */
  etcd(): number[] {
    const { incarnation } = this.settings();
    return incarnation === undefined ? [] : findEtcd(join(this.dir, 'witness/etcd', incarnation)).map(({ pid }) => pid);
  }

  get data(): string {
    return join(this.dir, 'witness/etcd', this.settings().incarnation!);
  }

  settings(): { readonly incarnation?: string; readonly voterId?: string } {
    try {
      return JSON.parse(readFileSync(join(this.dir, 'witness/witness.json'), 'utf8')) as { incarnation: string; voterId?: string };
    } catch {
      return {};
    }
  }

  private get env(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], HOME: this.dir, ROOST_DIR: this.dir, LANG: 'C.UTF-8' };
  }
}
