import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { shown } from './compare.js';
import { instanceMasks } from './lines.js';
import { Target, type CommandResult, type TargetKind } from './target.js';

const top = resolve(import.meta.dirname, '../..');
const names = ['lxd-a', 'lxd-b', 'roost-a', 'roost-b'] as const;

/**
 * Two servers of each kind that trust one client: what goes from one to another comes to the same as between two of LXD. In lines `src:` and `dst:` are the servers of a direction,
 * `$SRC` and `$DST` their state directories.
 */
export class MigrationServers {
  private readonly root = mkdtempSync(join(tmpdir(), 'rt-migration-'));
  private readonly targets = names.map((name) => ({ name, target: new Target(name.split('-')[0] as TargetKind) }));
  private readonly reference = new Map<number, string>();

  /** `network`: the third byte of the first server's loopback address; the others follow. */
  constructor(private readonly network: number) {}

  /** With pools `default` and `other` of the type `dir`, a project `pj`, and on both sources the image `bb`. `prepare`: further lines, in which `host:` is the server. */
  async start(prepare: readonly string[] = []): Promise<void> {
    await Promise.all(this.targets.map(({ target }) => target.start()));
    spawnSync('sh', ['-c', `'${top}/deploy/busybox-image' >'${this.root}/bb.tar.gz'`]);
    for (const [index, { name, target }] of this.targets.entries()) {
      const address = `127.31.${this.network + index}.1:8443`;
      target.run(`lxc config set core.https_address ${address} && lxc config set core.trust_password pw`);
      this.must(`lxc remote add ${name} ${address} --accept-certificate --password pw`);
      this.must(`lxc storage create ${name}:default dir && lxc storage create ${name}:other dir && lxc profile device add ${name}:default root disk path=/ pool=default`);
      this.must(`lxc project create ${name}:pj -c features.images=false -c features.profiles=false`);
      if (name.endsWith('-a')) this.must(`lxc image import ${this.root}/bb.tar.gz ${name}: --alias bb`);
      for (const line of prepare) this.must(line.replaceAll('host:', `${name}:`));
    }
  }

  async destroy(): Promise<void> {
    for (const { name } of this.targets) this.run(`lxc project delete ${name}:pj`);
    for (const { target } of this.targets) await target.destroy();
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Where our programs lie under LXD's names. */
  readonly compat = join(top, 'deploy/compat');

  /** A test of each line in one direction but those to `skip`; the first one, from LXD to LXD, is the measure of the others. */
  compare(lines: readonly string[], from: TargetKind, to: TargetKind, environment: NodeJS.ProcessEnv = {}, skip: (line: string) => boolean = () => false): void {
    for (const [index, line] of lines.entries()) {
      it.skipIf(skip(line))(line, () => {
        const result = shown(this.between(line, from, to, environment), { normalise });

        if (!this.reference.has(index)) this.reference.set(index, result);
        expect(result, line).toBe(this.reference.get(index));
      });
    }
  }

  /** Runs a line of one direction. */
  between(line: string, from: TargetKind, to: TargetKind, environment: NodeJS.ProcessEnv = {}): CommandResult {
    const directory = (name: string): string => this.targets.find((one) => one.name === name)!.target.dir;
    return this.run(line.replaceAll('src:', `${from}-a:`).replaceAll('dst:', `${to}-b:`), { SRC: directory(`${from}-a`), DST: directory(`${to}-b`), ...environment });
  }

  private run(line: string, env: NodeJS.ProcessEnv = {}): CommandResult {
    return this.targets[0]!.target.run(line, { LXD_CONF: this.root, ...env });
  }

  private must(line: string): void {
    const { code, stdout, stderr } = this.run(line);
    if (code !== 0) throw new Error(`${line}: ${stdout}${stderr}`);
  }
}

/** LXD to LXD first. */
export const directions: readonly (readonly [TargetKind, TargetKind])[] = [['lxd', 'lxd'], ['lxd', 'roost'], ['roost', 'lxd'], ['roost', 'roost']];

/** A line each. */
export function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
}

function normalise(text: string): string {
  return instanceMasks.normalise!(text).replace(/\b(lxd|roost)-[ab]\b/g, '<server>').replace(/127\.31\.\d+\.1/g, '<address>').replace(/<uuid>: .*\n?/g, '');
}
