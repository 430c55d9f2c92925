import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ClientTarget } from '../support/client-target.js';
import { same, type CompareOptions } from '../support/compare.js';
import { must } from '../support/pair.js';
import { Target, type TargetKind } from '../support/target.js';
import { clientScripts } from './client-scripts.js';
import { cliScripts } from './cli-scripts.js';

const top = resolve(import.meta.dirname, '../..');

/**
 * Our command line says what `lxc` says, command by command: standard output, errors and exit codes. Two daemons of the same kind go through the same
 * lists, one told by `lxc`, the other by ours; once with ours as the server and once with real LXD.
 */
const kinds = (process.env['TARGET'] === undefined ? ['roost', 'lxd'] : [process.env['TARGET']]) as readonly TargetKind[];

describe.each(kinds)('a server of kind %s', (kind) => {
  const theirs = new Target(kind);
  const ours = new ClientTarget(kind);
  const both = [theirs, ours];
  // Of this run alone: links are shared by the whole machine.
  const bridgeOf = (target: Target): string => `cl${target === theirs ? 't' : 'o'}-${process.pid.toString(36)}`;
  const image = join(ours.root, 'busybox.tar.gz');
  const options: CompareOptions = {
    normalise: (text) => text.replace(/^Try `lxc info --show-log .*\n?/gm, '').replace(/^ +/gm, ' ').trim().replaceAll(bridgeOf(theirs), '<br>').replaceAll(bridgeOf(ours), '<br>').replaceAll(image, '<image>')
      .replace(/^(Description|Usage):[\s\S]*/, '<help>'),
    env: (target) => ({ BR: bridgeOf(target), IMG: image, TARGET_DIR: target.dir }),
  };

  beforeAll(async () => {
    spawnSync('sh', ['-c', `'${top}/deploy/busybox-image' >'${image}'`]);
    await Promise.all(both.map((target) => target.start()));
    for (const target of both) {
      must(target, 'lxc storage create default dir');
      must(target, 'lxc profile device add default root disk path=/ pool=default');
      must(target, `lxc image import ${image} --alias bb`);
      must(target, `lxc network create ${bridgeOf(target)} ipv4.address=${target === theirs ? '10.98.73.1/24' : '10.98.74.1/24'} ipv6.address=none`);
      must(target, `lxc profile device add default eth0 nic network=${bridgeOf(target)} name=eth0`);
    }
  });
  afterAll(async () => {
    for (const target of both) {
      await target.destroy();
      spawnSync('ip', ['link', 'delete', bridgeOf(target)], { stdio: 'ignore' });
    }
  });

  describe.each([...cliScripts, ...clientScripts])('%s', (_title, commands) => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
      it(command, () => { same(ours, theirs, command, options); });
    }
  });
});
