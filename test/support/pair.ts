import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { Target } from './target.js';

const top = resolve(import.meta.dirname, '../..');

/** Our daemon and real LXD, each on its own state directory, both with the same image, pool and bridge set-up. */
export class Pair {
  readonly roost = new Target('roost');
  readonly lxd = new Target('lxd');
  readonly image = join(this.roost.root, 'busybox.tar.gz');

  get both(): Target[] { return [this.roost, this.lxd]; }

  async start(): Promise<void> {
    await Promise.all(this.both.map((target) => target.start()));
    spawnSync('sh', ['-c', `'${top}/deploy/busybox-image' >'${this.image}'`]);
  }

  /** Pool `default` (dir), the profile's root disk, image alias `bb`; a bridge with the given suffix where one is asked for. */
  prepare(options: { readonly bridge?: boolean } = {}): void {
    for (const target of this.both) {
      must(target, 'lxc storage create default dir');
      must(target, 'lxc profile device add default root disk path=/ pool=default');
      must(target, `lxc image import ${this.image} --alias bb`);
      if (options.bridge) {
        must(target, `lxc network create ${this.bridge(target)} ipv4.address=${target.kind === 'lxd' ? '10.98.71.1/24' : '10.98.72.1/24'} ipv6.address=none`);
        must(target, `lxc profile device add default eth0 nic network=${this.bridge(target)} name=eth0`);
      }
    }
  }

  /** Names of links are the host's, so the two bridges differ; outputs are compared with both spelt alike. */
  bridge(target: Target): string { return target.kind === 'lxd' ? 'ctbr-l' : 'ctbr-r'; }

  async destroy(): Promise<void> {
    for (const target of this.both) await target.destroy();
  }
}

export function must(target: Target, line: string): string {
  const result = target.run(line);
  if (result.code !== 0) throw new Error(`${target.kind}: ${line}: ${result.stderr}${result.stdout}`);
  return result.stdout;
}
