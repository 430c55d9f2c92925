import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';

/** Images made from instances and snapshots: the same words, the same records, and images that start on either daemon. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, 'lxc storage create bt btrfs size=1GiB');
    must(target, 'lxc init bb c1 -q; lxc snapshot c1 s0; lxc init bb b1 -q -s bt; lxc snapshot b1 s0; lxc start -q b1 2>/dev/null');
    must(target, "lxc exec b1 -- sh -c 'echo mark >/root/mark; chown 1000:1001 /root/mark; chmod 4755 /root/mark; ln -s /nowhere /root/link; ln /root/mark /root/hard; mkfifo /root/fifo'");
    must(target, 'lxc stop -f b1');
    // What a package manager leaves: a capability on a program.
    must(target, `setcap cap_net_raw+ep "$LXD_DIR/containers/b1/rootfs/root/mark"`);
  }
});
afterAll(() => pair.destroy());

const options: CompareOptions = {
  normalise: (text) => text.replaceAll(/[0-9a-f]{64}/g, '<fingerprint>').replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/\d{4}-\d\d-\d\dT[^"\s]*/g, (time) => (/^(0001|20[3-9]|1970)/.test(time) ? time : '<time>')).replaceAll(/"size": "?\d+"?/g, '"size": <n>')
    // A run of the client with progress has as many lines as it had time for.
    .replaceAll(/Publishing instance: .*\r/g, '').replaceAll(/size: \d+/g, 'size: <n>'),
};

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '')) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

lines('publishing', `
  lxc publish c1 -q --alias one
  lxc publish c1 -q --alias again
  lxc publish c1/s0 -q --alias snapshot what=snapshot
  lxc publish c1 -q --alias none what=none --compression none
  lxc publish c1 -q --alias xz what=xz --compression xz --public --expire 2035-01-01T00:00:00Z
  lxc publish c1 -q --alias zstd what=zstd --compression 'zstd -3'
  lxc publish c1 -q --compression lz4
  lxc publish c1 -q --expire tomorrow
  lxc publish nope -q
  lxc publish c1/nope -q
  lxc image show one
  lxc image show snapshot
  lxc image show xz
  lxc image alias list -f csv | cut -d, -f1,3
  lxc image list -f csv -c lpdt
  lxc image export -q none none && tar tf none.tar | sed 's,/$,,' | sort
  tar xOf none.tar metadata.yaml
  lxc image export -q one one && tar xzOf one.tar.gz metadata.yaml
  lxc query -X POST -d '{"source":{"type":"instance"}}' --wait /1.0/images
  lxc query -X POST -d '{"source":{"type":"instance","name":"c1/s0"}}' --wait /1.0/images
  lxc query -X POST -d '{"source":{"type":"snapshot","name":"c1"}}' --wait /1.0/images
  lxc query -X POST -d '{"source":{"type":"snapshot","name":"c1/nope"}}' /1.0/images
  lxc query -X POST -d '{"source":{"type":"instance","name":"c1"},"compression_algorithm":"foo"}' /1.0/images
  lxc query -X POST -d '{"source":{"type":"instance","name":"c1"}}' '/1.0/images?project=nope'
  lxc query -X POST -d '{"source":{"type":"instance","name":"c1"},"properties":{"a":"b"},"aliases":[{"name":"one"}]}' --wait /1.0/images
  lxc query -X POST -d '{"source":{"type":"container","name":"c1"},"properties":{"k":"v"},"filename":"f","auto_update":true,"aliases":[{"name":"al","description":"d"}]}' --wait /1.0/images
  lxc query /1.0/images/aliases/al
  lxc image show al
  lxc start -q c1 2>/dev/null
  lxc publish c1 -q
  lxc query -X POST -d '{"source":{"type":"instance","name":"c1"}}' --wait /1.0/images
  lxc publish c1 -q --force --alias running what=running
  lxc list -f csv -c ns c1
  lxc stop -f c1
  lxc config set core.https_address '' && lxc config set images.compression_algorithm none
  lxc publish c1 -q --alias plain what=plain && lxc image export -q plain plain && tar tf plain.tar metadata.yaml
  lxc config unset images.compression_algorithm
`);

describe('an image that is a file system', () => {
  // LXD reads them by a program that Debian has in another package.
  it('starts, and on LXD where it can read it', () => {
    must(pair.roost, 'lxc publish b1 -q --alias fs what=fs --compression squashfs && lxc image export -q fs fs && test "$(head -c 4 fs.squashfs)" = hsqs && lxc image delete fs');
    for (const target of existsSync('/usr/bin/sqfs2tar') ? pair.both : [pair.roost]) {
      must(target, `lxc image import -q ${join(pair.roost.root, 'fs.squashfs')} --alias fs-copy && lxc launch -q fs-copy i2 2>/dev/null`);
      expect(must(target, `lxc exec i2 -- sh -c 'stat -c "%n %a %u %g %h %F" /root/*; cat /root/mark; stat -c %a /'`))
        .toBe('/root/fifo 644 0 0 1 fifo\n/root/hard 4755 1000 1001 2 regular file\n/root/link 777 0 0 1 symbolic link\n/root/mark 4755 1000 1001 2 regular file\nmark\n755\n');
      expect(spawnSync('getcap', [join(target.dir, 'containers/i2/rootfs/root/mark')], { encoding: 'utf8' }).stdout).toContain('cap_net_raw=ep');
      must(target, 'lxc delete -f i2; lxc image delete fs-copy');
    }
  });
});

describe('a published image', () => {
  it.each(['dir', 'btrfs'])('keeps what belongs to files and starts on both (%s)', (name) => {
    const from = name === 'dir' ? 'b1' : 'b1/s0';
    for (const [source, target] of [[pair.roost, pair.lxd], [pair.lxd, pair.roost], [pair.roost, pair.roost]] as const) {
      const alias = `from-${source.kind}-${name}`;
      const file = join(source.root, `${alias}-${target.kind}`);
      must(source, `lxc publish ${from} -q --alias ${alias} n=${alias}-${target.kind}; lxc image export -q ${alias} ${file}; lxc image delete ${alias}`);
      const copy = `copy-of-${alias}-${target.kind}`;
      must(target, `lxc image import -q ${file}.tar.gz --alias ${copy} && lxc launch -q ${copy} i1 -s ${name === 'dir' ? 'default' : 'bt'} 2>/dev/null`);
      const inside = must(target, `lxc exec i1 -- sh -c 'stat -c "%n %a %u %g %h %F" /root/* 2>/dev/null; cat /root/mark 2>/dev/null; echo done'`);
      const capability = spawnSync('getcap', [join(target.dir, 'containers/i1/rootfs/root/mark')], { encoding: 'utf8' }).stdout;
      must(target, 'lxc delete -f i1');
      if (name === 'dir') {
        expect(inside).toBe('/root/fifo 644 0 0 1 fifo\n/root/hard 4755 1000 1001 2 regular file\n/root/link 777 0 0 1 symbolic link\n/root/mark 4755 1000 1001 2 regular file\nmark\ndone\n');
        expect(capability).toContain('cap_net_raw=ep');
      } else expect(inside).toBe('done\n');
    }
  });
});
