import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Image, Operation } from '#api-types';
import { LocalStore, TransactionRunner } from '#platform/database';
import { internalContext } from '#kernel';
import { ImageUpdates } from './image-updates.service.js';
import { ImagesService } from './images.service.js';
import { ImageUpdateReconciler } from './reconcile/image-update.reconciler.js';
import { ImageWorld } from './testing/image-world.js';
import { sha256, unifiedImage } from './testing/sample-images.js';
import { SimplestreamsTree } from './testing/simplestreams-tree.js';

let world: ImageWorld;
let tree: SimplestreamsTree;
beforeEach(async () => { [world, tree] = await Promise.all([new ImageWorld().start(), new SimplestreamsTree().start()]); });
afterEach(() => Promise.all([world.end(), tree.stop()]));

const ctx = internalContext();
const quiet = { signal: new AbortController().signal, progress: (): void => undefined };
const streams = (alias: string): { server: string; protocol: string; alias: string } => ({ server: tree.url, protocol: 'simplestreams', alias });
const pull = (source: object, more: object = {}, project = 'default'): Promise<Operation> =>
  world.started('POST', `/1.0/images?project=${project}`, { source: { type: 'image', mode: 'pull', ...source }, ...more });
const image = (fingerprint: string): Promise<Image> => world.client.get<Image>(`/1.0/images/${fingerprint}`);
const hostArch = process.arch === 'arm64' ? 'arm64' : 'amd64';

describe('an image of a simplestreams server', () => {
  it('is found by alias, checked, and described by the stream', async () => {
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch });

    const operation = await pull(streams('24.04'), { aliases: [{ name: 'noble' }] });

    expect(operation).toMatchObject({ status: 'Success', metadata: { fingerprint } });
    expect(operation.metadata?.['download_progress']).toMatch(/^rootfs: 100% \([\d.]+[kM]?B\/s\)$/);
    expect(await image(fingerprint)).toMatchObject({
      properties: {
        architecture: hostArch, description: `ubuntu 24.04 LTS ${hostArch} (release) (20260101)`, label: 'release', os: 'ubuntu', release: 'noble',
        serial: '20260101', type: 'squashfs', version: '24.04',
      },
      created_at: '2026-01-01T00:00:00Z', expires_at: '2029-05-31T00:00:00Z', cached: false, aliases: [{ name: 'noble', description: '' }],
      update_source: { alias: '24.04', certificate: '', protocol: 'simplestreams', server: tree.url, image_type: '' },
    });
    expect(world.uploads()).toEqual([]);
  });

  it('is found by an alias that is sent as a fingerprint, as stock clients do, and remembered by it', async () => {
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch });

    await pull({ server: tree.url, protocol: 'simplestreams', fingerprint: '24.04' });

    expect(await image(fingerprint)).toMatchObject({ update_source: { alias: '24.04' } });
  });

  it('is refused when its bytes are not those that were promised', async () => {
    tree.publish('24.04', '20260101', { arch: hostArch });
    for (const [path, content] of tree.files) if (path.endsWith('.squashfs')) tree.files.set(path, Buffer.concat([content.subarray(1), Buffer.from('y')]));

    expect(await pull(streams('24.04'))).toMatchObject({ status: 'Failure', err: expect.stringMatching(/^Image fingerprint doesn't match\. Got [0-9a-f]{64} expected/) as string });
    expect(world.uploads()).toEqual([]);
    expect(world.rows()).toEqual([]);
  });

  it('is fetched to its end although the connection breaks', async () => {
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch, rootBytes: 500_000 });
    let cut = true;
    tree.treat = (path) => {
      if (!path.endsWith('.squashfs') || !cut) return {};
      cut = false;
      return { cutAfter: 200_000 };
    };

    expect(await pull(streams('24.04'))).toMatchObject({ status: 'Success', metadata: { fingerprint } });
    expect(tree.requests.filter((path) => path.endsWith('.squashfs'))).toHaveLength(2);
  });

  it('fails in LXD\'s words when it does not exist', async () => {
    tree.publish('24.04', '20260101', { arch: hostArch });
    const err = "Failed getting remote image info: Failed getting image: The requested image couldn't be found";

    expect(await pull(streams('nope'))).toMatchObject({ err });
    expect(await pull({ ...streams('24.04'), image_type: 'virtual-machine' })).toMatchObject({ err });
    expect(await pull({ server: 'http://127.0.0.1:1', protocol: 'simplestreams', alias: 'x' })).toMatchObject({
      err: 'Failed getting remote image info: Failed getting image: Failed parsing stream: Get "http://127.0.0.1:1/streams/v1/index.json": '
        + 'Unable to connect to: 127.0.0.1:1 ([dial tcp 127.0.0.1:1: connect: connection refused])',
    });
  });

  it('is downloaded once for all who ask at the same time', async () => {
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch });
    await world.project('other', { 'features.images': 'true' });
    const gate = Promise.withResolvers<void>();
    tree.treat = (path) => (path.endsWith('.squashfs') ? { after: gate.promise } : {});

    const all = [pull(streams('24.04')), pull(streams('24.04')), pull(streams('24.04'), {}, 'other')];
    await expect.poll(() => tree.requests.filter((path) => path.endsWith('.squashfs')).length).toBe(1);
    gate.resolve();

    expect((await Promise.all(all)).map((operation) => operation.status)).toEqual(['Success', 'Success', 'Success']);
    expect(tree.requests.filter((path) => path.endsWith('.squashfs'))).toHaveLength(1);
    expect(world.rows()).toEqual([`default/${fingerprint}`, `other/${fingerprint}`]);
    expect(world.uploads()).toEqual([]);
  });

  it('is given up only when nobody waits for it any more', async () => {
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch });
    const gate = Promise.withResolvers<void>();
    tree.treat = (path) => (path.endsWith('.squashfs') ? { after: gate.promise } : {});
    const images = world.get(ImagesService);
    const patience = new AbortController();

    const first = images.ensureFromRemote(ctx, streams('24.04'), { ...quiet, signal: patience.signal });
    first.catch(() => undefined);
    await expect.poll(() => tree.requests.filter((path) => path.endsWith('.squashfs')).length).toBe(1);
    const second = images.ensureFromRemote(ctx, streams('24.04'), quiet);
    await new Promise((done) => setTimeout(done, 50));
    patience.abort();
    await expect(first).rejects.toMatchObject({ message: 'The download was cancelled' });
    gate.resolve();

    expect((await second).fingerprint).toBe(fingerprint);
    expect(world.uploads()).toEqual([]);
  });
});

describe('an image for an instance', () => {
  it('is cached, kept up to date, and taken as it is the next time', async () => {
    const images = world.get(ImagesService);
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch });

    const row = await images.ensureFromRemote(ctx, streams('24.04'), quiet);
    const asked = tree.requests.length;
    const again = await images.ensureFromRemote(ctx, streams('24.04'), quiet);

    expect(row).toMatchObject({ fingerprint, cached: true, autoUpdate: true, profiles: ['default'] });
    expect(again.id).toBe(row.id);
    expect(tree.requests).toHaveLength(asked);
  });

  it('is found by alias, fingerprint or properties once it is here', async () => {
    const images = world.get(ImagesService);
    const fingerprint = tree.publish('24.04', '20260101', { arch: hostArch });
    await pull(streams('24.04'), { aliases: [{ name: 'noble' }] });

    for (const reference of [{ alias: 'noble' }, { fingerprint: fingerprint.slice(0, 8) }, { properties: { os: 'ubuntu', release: 'noble' } }]) {
      expect(images.resolve(ctx, 'default', reference).fingerprint).toBe(fingerprint);
    }
    expect(() => images.resolve(ctx, 'default', { alias: 'nope' })).toThrow('Image alias not found');
    expect(() => images.resolve(ctx, 'default', { properties: { os: 'nope' } })).toThrow('No matching image could be found');
    expect(() => images.resolve(ctx, 'default', {})).toThrow('Must specify one of alias, fingerprint or properties for init from image');
  });

  it('goes when nobody has used it for long, and not before', async () => {
    const images = world.get(ImagesService);
    tree.publish('24.04', '20260101', { arch: hostArch });
    const row = await images.ensureFromRemote(ctx, streams('24.04'), quiet);
    await world.get(TransactionRunner).run(ctx, (tx) => images.touch(tx, row.id));
    const inDays = (days: number) => ({ now: () => new Date(Date.now() + days * 24 * 3600 * 1000), monotonicMs: () => 0 });

    await world.get(ImageUpdates).removeExpired(ctx, inDays(9));
    expect(world.rows()).toHaveLength(1);
    await world.get(ImageUpdates).removeExpired(ctx, inDays(11));

    expect(world.rows()).toEqual([]);
    expect(world.store.fingerprints.size).toBe(0);
  });
});

describe('refresh', () => {
  it('replaces an image with its server\'s newer one and moves aliases', async () => {
    const old = tree.publish('24.04', '20260101', { arch: hostArch });
    await pull(streams('24.04'), { auto_update: true, aliases: [{ name: 'noble' }] });
    expect(await world.started('POST', `/1.0/images/${old}/refresh`)).toMatchObject({ description: 'Refreshing image', metadata: { refreshed: false } });
    const fresh = tree.publish('24.04', '20260201', { arch: hostArch });

    world.get(LocalStore).set('images', 'last_update', '0');
    await world.get(ImageUpdateReconciler).run(new AbortController().signal);

    expect(world.rows()).toEqual([`default/${fresh}`]);
    expect([...world.store.fingerprints]).toEqual([fresh]);
    expect(await image(fresh)).toMatchObject({ auto_update: true, aliases: [{ name: 'noble', description: '' }] });
  });

  it('fails for an image that came from nowhere', async () => {
    await world.upload(unifiedImage());
    const fingerprint = sha256(unifiedImage());

    expect(await world.started('POST', `/1.0/images/${fingerprint}/refresh`)).toMatchObject({
      status: 'Failure', err: `Failed to update image "${fingerprint}" in project "default": Image source not found`,
    });
  });
});

describe('an image of another server of this API', () => {
  let other: ImageWorld;
  beforeEach(async () => { other = await new ImageWorld().start(); });
  afterEach(() => other.end());

  it('is pulled when it is public, by alias and with the server\'s certificate pinned', async () => {
    const file = unifiedImage('public');
    await other.upload(file, { 'X-LXD-public': '1' });
    await other.client.post('/1.0/images/aliases', { name: 'pub', target: sha256(file) });
    const { url, certificate } = await other.stranger();

    expect(await pull({ server: url, alias: 'pub' })).toMatchObject({
      err: `Failed to connect to LXD server "${url}": Get "${url}/1.0": x509: certificate signed by unknown authority`,
    });
    expect(await pull({ server: url, alias: 'nope', certificate })).toMatchObject({ err: 'Failed getting remote image info: Image not found' });
    expect(await pull({ server: url, alias: 'pub', certificate })).toMatchObject({ status: 'Success', metadata: { fingerprint: sha256(file) } });
    expect(await image(sha256(file))).toMatchObject({ properties: { os: 'public' }, public: false, update_source: { alias: 'pub', protocol: 'lxd', server: url, certificate } });
  });

  it('is pulled with its secret when it is private, and pushed with one', async () => {
    const file = unifiedImage('private');
    const fingerprint = sha256(file);
    await other.upload(file);
    const { url, certificate } = await other.stranger();
    const token = await other.client.call<Operation>('POST', `/1.0/images/${fingerprint}/secret`);

    expect(await pull({ server: url, fingerprint, certificate })).toMatchObject({ err: `Failed getting remote image info: Image "${fingerprint}" not found` });
    expect(await pull({ server: url, fingerprint, certificate, secret: token.metadata.metadata?.['secret'] })).toMatchObject({ status: 'Success' });
    expect((await image(fingerprint)).update_source).toBeUndefined();

    await other.started('DELETE', `/1.0/images/${fingerprint}`);
    const grant = await other.client.call<Operation>('POST', '/1.0/images', { body: { source: { type: 'image', mode: 'push', fingerprint } } });
    expect(await world.started('POST', `/1.0/images/${fingerprint}/export`, { target: url, certificate, secret: grant.metadata.metadata?.['secret'] })).toMatchObject({ status: 'Success' });
    expect(other.rows()).toEqual([`default/${fingerprint}`]);
  });
});

describe('an image of a web server', () => {
  it('is fetched by the headers of its page', async () => {
    const file = unifiedImage('direct');
    const server = createServer((request, response) => {
      const { port } = server.address() as AddressInfo;
      if (request.method === 'HEAD') response.writeHead(200, { 'LXD-Image-Hash': sha256(file), 'LXD-Image-URL': `http://127.0.0.1:${port}/file` }).end();
      else response.end(file);
    }).listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`;

    const operation = await world.started('POST', '/1.0/images', { source: { type: 'url', mode: 'pull', url } });
    server.closeAllConnections();
    server.close();

    expect(operation).toMatchObject({ status: 'Success', metadata: { fingerprint: sha256(file) } });
    expect(await image(sha256(file))).toMatchObject({ architecture: 'x86_64', properties: { os: 'direct' } });
  });
});

