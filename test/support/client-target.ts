import { mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Target, type TargetKind } from './target.js';

const top = resolve(import.meta.dirname, '../..');

/** A daemon, ours or real LXD, that our own command line drives wherever a script says `lxc`. */
export class ClientTarget extends Target {
  private readonly bin = join(this.root, 'bin');

  constructor(kind: TargetKind) {
    super(kind);
    mkdirSync(this.bin);
    symlinkSync(join(top, 'deploy/compat/lxc'), join(this.bin, 'lxc'));
  }

  override get env(): NodeJS.ProcessEnv {
    return { ...super.env, PATH: `${this.bin}:${process.env['PATH']}` };
  }
}
