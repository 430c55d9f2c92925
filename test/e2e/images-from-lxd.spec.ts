import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';
import { Target } from '../support/target.js';

/** Images go from real LXD to Roost and back, each way the client knows, over loopback. Both servers have state directories of their own. */
const lxd = new Target('lxd');
const roost = new Target('roost');
const impossible = unmet('images between daemons', Target.whyNotBoth());
const images = join(roost.root, 'images');
let lxdUrl = '';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** A unified and a split image of a busybox; squashfs where the tool is there. */
function makeImages(): void {
  execFileSync('sh', ['-ec', `
    mkdir -p '${images}/tree/rootfs/bin'
    cp "$(command -v busybox)" '${images}/tree/rootfs/bin/'
    printf 'architecture: x86_64\\ncreation_date: 1424284563\\nproperties:\\n  os: Busybox\\n' >'${images}/tree/metadata.yaml'
    sed -i "s/x86_64/$(uname -m)/" '${images}/tree/metadata.yaml'
    tar -czf '${images}/unified.tar.gz' -C '${images}/tree' metadata.yaml rootfs
    tar -cJf '${images}/meta.tar.xz' -C '${images}/tree' metadata.yaml
    mksquashfs '${images}/tree/rootfs' '${images}/root.squashfs' -noappend -quiet >/dev/null`], { stdio: 'ignore' });
}

beforeAll(async () => {
  if (impossible) return;
  const [lxdPort, roostPort] = [await freePort(), await freePort()];
  lxdUrl = `https://127.0.0.1:${lxdPort}`;
  await Promise.all([lxd.start(), roost.start()]);
  makeImages();
  must(lxd, `lxc config set core.https_address=127.0.0.1:${lxdPort} core.trust_password=secret`);
  must(roost, `lxc config set core.https_address=127.0.0.1:${roostPort} core.trust_password=secret`);
  // One client that is trusted by both; its `local` is Roost.
  must(roost, `lxc remote add lxd https://127.0.0.1:${lxdPort} --accept-certificate --password secret`);
  must(roost, `lxc remote add roost https://127.0.0.1:${roostPort} --accept-certificate --password secret`);
  must(roost, `lxc remote add public https://127.0.0.1:${lxdPort} --accept-certificate --public`);
});

afterAll(async () => {
  await Promise.all([lxd.destroy(), roost.destroy()]);
});

const listed = (remote: string): string[] => must(roost, `lxc image list ${remote}: --format csv -c lF`).trim().split('\n').filter((line) => line !== '').sort();
const clear = (remote: string): string => must(roost, `for i in $(lxc image list ${remote}: --format csv -c f); do lxc image delete ${remote}:$i; done`);
const seed = (remote: string): void => {
  clear(remote);
  must(roost, `lxc image import '${images}/unified.tar.gz' ${remote}: --alias unified`);
  must(roost, `lxc image import '${images}/meta.tar.xz' '${images}/root.squashfs' ${remote}: --alias split`);
};

describe.skipIf(impossible).each([['lxd', 'roost'], ['roost', 'lxd']])('from %s to %s', (from, to) => {
  it.each(['pull', 'push', 'relay'])('private images are copied by %s and keep their fingerprints', (mode) => {
    seed(from);
    clear(to);

    for (const image of ['unified', 'split']) must(roost, `lxc image copy ${from}:${image} ${to}: --mode=${mode} --copy-aliases`);

    expect(listed(to)).toEqual(listed(from));
  });
});

/** The client resolves aliases of LXD servers itself, so this request is written by hand. */
function pullByAlias(alias: string, name: string): void {
  const source = { type: 'image', mode: 'pull', protocol: 'lxd', alias, server: lxdUrl, certificate: readFileSync(join(lxd.dir, 'server.crt'), 'utf8') };
  writeFileSync(join(images, 'request.json'), JSON.stringify({ auto_update: true, aliases: [{ name }], source }));
  must(roost, `lxc query --wait -X POST -d "$(cat '${images}/request.json')" /1.0/images`);
}

describe.skipIf(impossible)('an image of a public LXD', () => {
  it('is copied, exported and imported again', () => {
    seed('lxd');
    clear('roost');
    must(roost, 'lxc image show lxd:split | sed "s/^public: .*/public: true/" | lxc image edit lxd:split');

    must(roost, 'lxc image copy public:split local: --alias mine');

    const before = listed('local');
    must(roost, `mkdir '${images}/export'; lxc image export mine '${images}/export/image'; lxc image delete mine`);
    expect(readdirSync(`${images}/export`).sort()).toEqual(['image', 'image.root']);
    must(roost, `lxc image import '${images}/export/image' '${images}/export/image.root' --alias mine`);
    expect(listed('local')).toEqual(before);
  });

  it('is replaced when the server has a newer one under that alias', () => {
    seed('lxd');
    clear('roost');
    must(roost, 'lxc image show lxd:split | sed "s/^public: .*/public: true/" | lxc image edit lxd:split');
    must(roost, 'lxc image show lxd:unified | sed "s/^public: .*/public: true/" | lxc image edit lxd:unified');
    must(roost, 'lxc image alias create lxd:latest $(lxc image list lxd:split --format csv -c F)');
    pullByAlias('latest', 'mine');
    expect(must(roost, 'lxc image info mine')).toContain('Alias: latest');
    expect(must(roost, 'lxc image refresh mine')).toContain('up to date');
    must(roost, 'lxc image alias delete lxd:latest; lxc image alias create lxd:latest $(lxc image list lxd:unified --format csv -c F)');

    expect(must(roost, 'lxc image refresh mine')).toContain('successfully');

    expect(listed('local')).toEqual([`mine,${must(roost, 'lxc image list lxd:unified --format csv -c F').trim()}`]);
    expect(readdirSync(join(roost.dir, 'images')).filter((name) => /^[0-9a-f]{64}/.test(name))).toHaveLength(1);
  });
});

describe.skipIf(impossible)('a daemon killed in the middle of an upload', () => {
  it('has neither the image nor its upload after a restart', async () => {
    clear('roost');
    roost.run(`(head -c 200M /dev/zero; sleep 20) | curl -s --unix-socket '${roost.dir}/unix.socket' -X POST -H 'Content-Type: application/octet-stream' -T - http://x/1.0/images >/dev/null & sleep 1; kill %1 2>/dev/null; true`);
    await roost.stop(true);
    await roost.start();

    expect(listed('local')).toEqual([]);
    expect(existsSync(join(roost.dir, 'uploads')) ? readdirSync(join(roost.dir, 'uploads')) : []).toEqual([]);
  });
});
