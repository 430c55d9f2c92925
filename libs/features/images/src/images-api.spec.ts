import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Image, Operation } from '#api-types';
import { readText } from '#client';
import { ImageWorld } from './testing/image-world.js';
import { metadataTarball, multipartBody, sha256, squashfsFile, unifiedImage } from './testing/sample-images.js';

let world: ImageWorld;
beforeAll(async () => { world = await new ImageWorld().start(); });
afterAll(() => world.end());

const get = <T>(path: string): Promise<T> => world.client.get<T>(path);
const image = (fingerprint: string): Promise<Image> => get<Image>(`/1.0/images/${fingerprint}`);

describe('POST /1.0/images with a file', () => {
  it('stores it, with what the headers say on top of metadata.yaml', async () => {
    const file = unifiedImage('one');
    const fingerprint = sha256(file);

    const operation = await world.upload(file, {
      'X-LXD-filename': 'one.tar.gz', 'X-LXD-public': '1', 'X-LXD-properties': 'a=b&os=mine', 'X-LXD-profiles': 'profile=default', 'X-LXD-fingerprint': fingerprint,
    });

    expect(operation).toMatchObject({
      status: 'Success', description: 'Downloading image', resources: null, may_cancel: false, metadata: { fingerprint, size: String(file.length) },
    });
    expect(await image(fingerprint.slice(0, 12))).toEqual({
      auto_update: false, properties: { a: 'b', os: 'mine', release: '1' }, public: true, expires_at: '2032-12-26T06:12:01Z', profiles: ['default'], aliases: [],
      architecture: 'x86_64', cached: false, filename: 'one.tar.gz', fingerprint, size: file.length, type: 'container', created_at: '2015-02-18T18:36:03Z',
      last_used_at: '0001-01-01T00:00:00Z', uploaded_at: expect.stringMatching(/^20\d\d-/) as string,
    });
    expect(world.seen).toContain(`image-created /1.0/images/${fingerprint}`);
    expect(world.uploads()).toEqual([]);
  });

  it.each([
    ['another fingerprint than announced', () => world.upload(unifiedImage('two'), { 'X-LXD-fingerprint': 'abc' }), /^fingerprints don't match, got [0-9a-f]{64} expected abc$/],
    ['no image', () => world.upload(Buffer.from('not an image at all')), /^Unsupported compression$/],
    ['nothing', () => world.upload(Buffer.alloc(0)), /^EOF$/],
    ['an image that is here', async () => { await world.upload(unifiedImage('twice')); return world.upload(unifiedImage('twice')); }, /^Image with same fingerprint already exists$/],
    ['an unknown profile', () => world.upload(unifiedImage('p'), { 'X-LXD-profiles': 'profile=nope' }), /^Profile 'nope' doesn't exist$/],
  ])('fails the operation for %s and keeps nothing', async (_what, send, error) => {
    const before = world.store.fingerprints.size;

    const operation = await send();

    expect(operation.status).toBe('Failure');
    expect(operation.err).toMatch(error);
    expect(world.uploads()).toEqual([]);
    expect(world.store.fingerprints.size).toBeLessThanOrEqual(before + 1);
    expect(world.rows().length).toBe(world.store.fingerprints.size);
  });

  it('takes a split image, whose fingerprint covers both files', async () => {
    const [meta, root] = [metadataTarball('split'), squashfsFile(3_000_000)];
    const { body, contentType } = multipartBody([{ name: 'metadata', content: meta }, { name: 'rootfs', filename: 'my.squashfs', content: root }]);

    const operation = await world.upload(body, { 'content-type': contentType });

    expect(operation.metadata).toEqual({ fingerprint: sha256(meta, root), size: String(meta.length + root.length) });
    expect(await image(sha256(meta, root))).toMatchObject({ filename: 'my.squashfs', type: 'container', size: meta.length + root.length });
  });

  it.each([
    ['parts in another order', [{ name: 'rootfs', content: squashfsFile() }, { name: 'metadata', content: metadataTarball() }], 'Invalid multipart image'],
    ['an unknown part', [{ name: 'metadata', content: metadataTarball() }, { name: 'foo', content: squashfsFile() }], 'Invalid multipart image'],
    ['one part only', [{ name: 'metadata', content: metadataTarball() }], 'EOF'],
  ])('refuses a split image with %s', async (_what, parts, error) => {
    const { body, contentType } = multipartBody(parts);

    expect(await world.upload(body, { 'content-type': contentType })).toMatchObject({ status: 'Failure', err: error });
    expect(world.uploads()).toEqual([]);
  });

  it('takes a request of JSON whatever its content type says', async () => {
    await expect(world.upload(Buffer.from('{"source":{"type":"foo"}}'))).rejects.toMatchObject({ kind: 'internal', message: 'Invalid images JSON' });
    expect(world.uploads()).toEqual([]);
  });
});

describe('POST /1.0/images with a request', () => {
  const post = (body: unknown): Promise<Operation> => world.started('POST', '/1.0/images', body);

  it.each([
    [{ source: { type: 'image', mode: 'pull' } }, 'must specify one of alias or fingerprint for init from image'],
    [{ source: { type: 'image', mode: 'pull', alias: 'x', server: 'https://127.0.0.1:1', protocol: 'foo' } }, 'Unsupported protocol: foo'],
    [{ source: { type: 'image', mode: 'pull', alias: 'x' } }, 'Failed to connect to LXD server "": Get "/1.0": unsupported protocol scheme ""'],
    [{ source: { type: 'image', alias: 'x', server: 'https://127.0.0.1:1', protocol: 'lxd' } },
      'Failed to connect to LXD server "https://127.0.0.1:1": Get "https://127.0.0.1:1/1.0": Unable to connect to: 127.0.0.1:1 ([dial tcp 127.0.0.1:1: connect: connection refused])'],
    [{ source: { type: 'url' } }, 'Missing URL'],
  ])('fails for %j', async (body, err) => {
    expect(await post(body)).toMatchObject({ status: 'Failure', err });
  });

  it.each([
    [[1], 'json: cannot unmarshal array into Go value of type api.ImagesPost'],
    [{ public: 'x' }, 'json: cannot unmarshal string into Go struct field ImagesPost.public of type bool'],
  ])('refuses %j', async (body, message) => {
    await expect(post(body)).rejects.toMatchObject({ kind: 'invalid', message });
  });
});

describe('GET /1.0/images', () => {
  it('lists, filters and finds by the beginning of a fingerprint', async () => {
    const fingerprint = sha256(unifiedImage('listed'));
    await world.upload(unifiedImage('listed'));

    expect(await get<string[]>('/1.0/images')).toContain(`/1.0/images/${fingerprint}`);
    expect(await get<string[]>('/1.0/images?filter=properties.os%20eq%20listed')).toEqual([`/1.0/images/${fingerprint}`]);
    expect((await get<Image[]>('/1.0/images?recursion=1&filter=properties.os%20eq%20listed')).map((one) => one.fingerprint)).toEqual([fingerprint]);
    await expect(image('abcdef0123')).rejects.toMatchObject({ kind: 'not-found', message: 'Image not found' });
    await expect(image('xyz')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(get('/1.0/images?filter=type%20eq')).rejects.toMatchObject({ kind: 'internal', message: 'Invalid filter: clause has no value' });
    await expect(get('/1.0/images?project=nope')).rejects.toMatchObject({ message: 'Check if project has images: fetch project: Project not found' });
  });
});

describe('PUT and PATCH /1.0/images/{fingerprint}', () => {
  const file = unifiedImage('edited');
  const url = `/1.0/images/${sha256(file)}`;
  beforeAll(() => world.upload(file));

  it('replaces what is given, merges properties, and keeps expiry and profiles as LXD does', async () => {
    await world.client.put(url, { properties: { a: 'b' }, public: true, auto_update: true, expires_at: '2030-01-02T03:04:05.50Z', profiles: [] });
    expect(await get(url)).toMatchObject({ properties: { a: 'b' }, public: true, auto_update: true, expires_at: '2030-01-02T03:04:05.5Z', profiles: [] });

    await world.client.patch(url, { properties: { c: 'd' }, profiles: ['default'], expires_at: '2031-01-01T00:00:00Z' });
    expect(await get(url)).toMatchObject({ properties: { a: 'b', c: 'd' }, public: true, expires_at: '2030-01-02T03:04:05.5Z', profiles: [] });

    await world.client.put(url, {});
    expect(await get(url)).toMatchObject({ properties: {}, public: false, auto_update: false, expires_at: '2030-01-02T03:04:05.5Z', profiles: [] });
  });

  it('refuses a stale ETag, unknown profiles and times that are none', async () => {
    const { etag } = await world.client.call('GET', url);
    await world.client.put(url, { public: true }, { headers: { 'if-match': etag } });

    await expect(world.client.put(url, {}, { headers: { 'if-match': etag } })).rejects.toMatchObject({ kind: 'precondition' });
    await expect(world.client.put(url, { profiles: ['nope'] })).rejects.toMatchObject({ kind: 'invalid', message: "Profile 'nope' doesn't exist" });
    await expect(world.client.patch(url, { expires_at: 'garb' })).rejects.toMatchObject({
      message: 'parsing time "\\"garb\\"" as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse "garb\\"" as "2006"',
    });
    await expect(world.client.patch(url, [])).rejects.toMatchObject({ message: 'json: cannot unmarshal array into Go value of type shared.Jmap' });
  });
});

describe('GET /1.0/images/{fingerprint}/export', () => {
  it('sends a unified image as it came, whole or in part', async () => {
    const file = unifiedImage('exported');
    const path = `/1.0/images/${sha256(file)}/export`;
    await world.upload(file);

    const whole = await world.client.download(path);
    const bytes = Buffer.concat(await whole.toArray() as Buffer[]);
    const part = await world.client.download(path, { headers: { range: 'bytes=2-5' } });

    expect(bytes.equals(file)).toBe(true);
    expect(whole.headers).toMatchObject({ 'content-disposition': `inline;filename=${sha256(file)}.tar.gz`, 'content-length': String(file.length), 'accept-ranges': 'bytes' });
    expect(part.statusCode).toBe(206);
    expect(part.headers['content-range']).toBe(`bytes 2-5/${file.length}`);
    expect(Buffer.concat(await part.toArray() as Buffer[]).equals(file.subarray(2, 6))).toBe(true);
  });

  it('sends a split image as multipart', async () => {
    const [meta, root] = [metadataTarball('split-export'), squashfsFile()];
    const { body, contentType } = multipartBody([{ name: 'metadata', content: meta }, { name: 'rootfs', content: root }]);
    await world.upload(body, { 'content-type': contentType });

    const answer = await world.client.download(`/1.0/images/${sha256(meta, root)}/export`);
    const text = Buffer.concat(await answer.toArray() as Buffer[]).toString('latin1');

    expect(answer.headers['content-type']).toMatch(/^multipart\/form-data; boundary=[0-9a-f]+$/);
    expect(text).toContain(`name="metadata"; filename="meta-${sha256(meta, root)}.tar.gz"`);
    expect(text).toContain(`name="rootfs"; filename="${sha256(meta, root)}.squashfs"`);
    expect(text).toContain(root.toString('latin1'));
  });
});

describe('/1.0/images/aliases', () => {
  it('are made, changed, renamed and deleted, with events', async () => {
    const [one, two] = [unifiedImage('alias-1'), unifiedImage('alias-2')];
    await world.upload(one);
    await world.upload(two);
    world.seen.length = 0;

    await world.client.post('/1.0/images/aliases', { name: 'a/b', target: sha256(one).slice(0, 12), description: 'dd' });
    expect(await get('/1.0/images/aliases/a%2Fb')).toEqual({ description: 'dd', target: sha256(one), name: 'a/b', type: 'container' });
    await world.client.put('/1.0/images/aliases/a%2Fb', { target: sha256(two) });
    await expect(world.client.patch('/1.0/images/aliases/a%2Fb', { target: 3 })).rejects.toMatchObject({ message: '`target` was not a string' });
    await world.client.patch('/1.0/images/aliases/a%2Fb', { description: 'new' });
    await world.client.post('/1.0/images/aliases/a%2Fb', { name: 'c' });
    expect((await image(sha256(two))).aliases).toEqual([{ name: 'c', description: 'new' }]);
    await expect(world.client.post('/1.0/images/aliases', { name: 'c', target: sha256(one) })).rejects.toMatchObject({ kind: 'conflict', message: 'Alias "c" already exists' });
    await world.client.delete('/1.0/images/aliases/c');

    await expect(get('/1.0/images/aliases/c')).rejects.toMatchObject({ message: 'Image alias not found' });
    expect(world.seen.map((line) => line.split(' ')[0])).toEqual([
      'image-alias-created', 'image-alias-updated', 'image-alias-updated', 'image-alias-renamed', 'image-alias-deleted',
    ]);
  });

  it.each([
    ['POST', '', {}, 'name and target are required'],
    ['POST', '', { name: 'x', target: 'abc' }, 'Image not found'],
    ['PUT', '/nope', { target: 'e' }, 'Image alias not found'],
    ['PUT', '/nope', {}, 'The target field is required'],
    ['PATCH', '/nope', { target: 3 }, 'Image alias not found'],
  ])('%s %s %j is refused', async (method, path, body, message) => {
    await expect(world.client.call(method, `/1.0/images/aliases${path}`, { body })).rejects.toMatchObject({ message });
  });
});

describe('images of projects', () => {
  it('are their own, and share files', async () => {
    const file = unifiedImage('shared');
    const fingerprint = sha256(file);
    await world.project('own', { 'features.images': 'true' });
    await world.upload(file);
    await world.upload(file, {}, 'own');

    expect(world.rows().filter((row) => row.endsWith(fingerprint))).toEqual([`default/${fingerprint}`, `own/${fingerprint}`]);
    expect((await get<{ used_by: string[] }>('/1.0/projects/own')).used_by).toContain(`/1.0/images/${fingerprint}?project=own`);
    expect(await world.started('DELETE', `/1.0/images/${fingerprint}`)).toMatchObject({ status: 'Success', description: 'Deleting image' });
    expect(world.store.fingerprints.has(fingerprint)).toBe(true);
    await world.started('DELETE', `/1.0/images/${fingerprint}?project=own`);
    expect(world.store.fingerprints.has(fingerprint)).toBe(false);
  });

  it('are those of the default project where a project has none of its own', async () => {
    const file = unifiedImage('inherited');
    await world.project('none', { 'features.images': 'false' });
    await world.upload(file, {}, 'none');

    expect(world.rows()).toContain(`default/${sha256(file)}`);
    expect(await get<string[]>('/1.0/images?project=none')).toEqual(await get<string[]>('/1.0/images'));
  });
});

describe('strangers', () => {
  it('see public images only, and private ones with a secret that is good for one transfer', async () => {
    const file = unifiedImage('private');
    const path = `/1.0/images/${sha256(file)}`;
    await world.upload(file);
    const { client } = await world.stranger();

    expect(await client.get<string[]>('/1.0/images')).not.toContain(path);
    await expect(client.get(path)).rejects.toMatchObject({ kind: 'not-found', message: `Image "${sha256(file)}" not found` });
    await expect(client.post(`${path}/secret`, {})).rejects.toMatchObject({ kind: 'forbidden' });
    await expect(client.get('/1.0/images/aliases')).rejects.toMatchObject({ kind: 'forbidden' });
    const token = await world.client.call<Operation>('POST', `${path}/secret`);
    const secret = token.metadata.metadata?.['secret'] as string;
    await expect(client.get(`${path}?secret=wrong`)).rejects.toMatchObject({ kind: 'not-found' });
    expect(await client.get<Image>(`${path}?secret=${secret}`)).toMatchObject({ fingerprint: sha256(file) });
    const answer = await client.download(`${path}/export?secret=${secret}`);
    expect((await readText(answer)).length).toBeGreaterThan(0);
    await world.client.delete(token.operation);
    await expect(client.get(`${path}?secret=${secret}`)).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('send an image with a secret, which decides what becomes of it', async () => {
    const file = unifiedImage('pushed');
    const { client } = await world.stranger();
    const token = await world.client.call<Operation>('POST', '/1.0/images', {
      body: { source: { type: 'image', mode: 'push', fingerprint: sha256(file) }, aliases: [{ name: 'pushed' }], public: true, properties: { k: 'v' } },
    });
    const secret = token.metadata.metadata?.['secret'] as string;

    await expect(client.post('/1.0/images', file)).rejects.toMatchObject({ kind: 'forbidden', message: 'not authorized' });
    await client.post('/1.0/images', file, { headers: { 'X-LXD-secret': secret, 'X-LXD-fingerprint': sha256(file) } });

    expect(await image(sha256(file))).toMatchObject({ public: true, properties: { k: 'v' }, aliases: [{ name: 'pushed', description: '' }] });
  });
});

describe('a restart', () => {
  it('removes uploads that were cut off and keeps images', async () => {
    await world.upload(unifiedImage('kept'));
    writeFileSync(`${world.state.uploads}/image-left-behind`, 'x');
    const before = world.rows();

    await world.restart();

    expect(world.uploads()).toEqual([]);
    expect(world.rows()).toEqual(before);
  });
});
