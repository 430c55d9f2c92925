import http from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstancesService } from '../instances.service.js';
import { anyTree, FakeMember, settled } from '../testing/fake-member.js';
import { patchMetadata, readMetadata, writeMetadata } from './instance-metadata.rules.js';

let member: FakeMember;

beforeAll(async () => {
  member = await FakeMember.start();
  await member.create('c1', { config: { 'user.greeting': 'hello' } });
  await member.listen();
});
afterAll(() => member.close());

async function ask(method: string, path: string, body: unknown = '', headers: http.OutgoingHttpHeaders = {}): Promise<{ status: number; json: { metadata: unknown; error: string }; text: string; etag: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; json: never; text: string; etag: string }>();
  const request = http.request({ socketPath: member.host.state.socket, method, path: `/1.0/instances/c1/metadata${path}`, headers }, (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text, etag: response.headers.etag ?? '', json: (text.startsWith('{"') ? JSON.parse(text) : {}) as never }));
  });
  request.once('error', reject);
  if (method === 'GET' || method === 'DELETE') request.end();
  else request.end(typeof body === 'string' ? body : JSON.stringify(body));
  return promise;
}

async function change(action: 'start' | 'stop'): Promise<void> {
  const instance = await member.get(InstancesService).get('default', 'c1', anyTree);
  await settled(await member.get(InstanceStateChanges).change(member.ctx(), instance, { action, force: true }));
}

const files = (): Map<string, { content: Buffer }> => member.host.files.tree('c1') as never;

describe('metadata of an instance', () => {
  it('is empty where there is none, and what was put there since', async () => {
    expect((await ask('GET', '')).json.metadata).toEqual({ architecture: '', creation_date: 0, expiry_date: 0, properties: null, templates: null });
    expect(await ask('PUT', '', { architecture: 'x', properties: { b: '1', a: '2' } })).toMatchObject({ status: 200 });
    expect(await ask('PATCH', '', { properties: { c: '3' }, templates: { '/f': { when: ['start'], template: 'f.tpl' } } })).toMatchObject({ status: 200 });

    expect((await ask('GET', '')).json.metadata).toEqual({
      architecture: 'x', creation_date: 0, expiry_date: 0, properties: { a: '2', b: '1', c: '3' }, templates: { '/f': { when: ['start'], create_only: false, template: 'f.tpl', properties: {} } },
    });
    expect(member.seen).toContain('instance-metadata-updated /1.0/instances/c1/metadata');
  });

  it('is not changed over a change that was not seen, nor by a body that is none', async () => {
    const { etag } = await ask('GET', '');
    await ask('PATCH', '', { architecture: 'y' });
    expect(await ask('PUT', '', {}, { 'If-Match': etag })).toMatchObject({ status: 412 });
    expect(await ask('PUT', '', { properties: { c: 5 } })).toMatchObject({ status: 400 });
    expect(await ask('PUT', '', 'x')).toMatchObject({ status: 400 });
  });

  it('is written and read as LXD does it, and nothing else of a file is believed', () => {
    const metadata = { architecture: 'x', creation_date: 5, expiry_date: 0, properties: { a: 'b' }, templates: { '/etc/x': { when: ['start'], create_only: true, template: 'b.tpl', properties: { q: 'r' } } } };
    expect(writeMetadata(metadata)).toBe('architecture: x\ncreation_date: 5\nexpiry_date: 0\nproperties:\n  a: b\ntemplates:\n  /etc/x:\n    when:\n    - start\n    create_only: true\n    template: b.tpl\n    properties:\n      q: r\n');
    expect(readMetadata(writeMetadata(metadata))).toEqual(metadata);
    expect(readMetadata('architecture: [1]\ncreation_date: soon\nproperties: 7\ntemplates: {a: null, b: {when: start, template: [x]}}')).toEqual({
      architecture: '', creation_date: 0, expiry_date: 0, properties: null,
      templates: { a: { when: [], create_only: false, template: '', properties: null }, b: { when: [], create_only: false, template: '', properties: null } },
    });
    expect(() => readMetadata('- a')).toThrow('Could not parse metadata.yaml');
    expect(() => readMetadata(`a: &a [x,x]\n${Array.from({ length: 9 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`},*${i === 0 ? 'a' : `b${i - 1}`},*a,*a,*a,*a,*a,*a]`).join('\n')}`)).toThrow('Could not parse');
    expect(patchMetadata(readMetadata(''), {})).toMatchObject({ properties: {}, templates: {} });
  });
});

describe('templates of an instance', () => {
  it('are made, listed, shown and removed', async () => {
    expect((await ask('GET', '/templates')).json.metadata).toEqual([]);
    expect(await ask('POST', '/templates?path=b.tpl', 'two')).toMatchObject({ status: 200 });
    expect(await ask('POST', '/templates?path=a.tpl', 'one')).toMatchObject({ status: 200 });
    expect(await ask('POST', '/templates?path=a.tpl', 'once more')).toMatchObject({ status: 200 });
    expect((await ask('GET', '/templates')).json.metadata).toEqual(['a.tpl', 'b.tpl']);
    expect((await ask('GET', '/templates?path=a.tpl')).text).toBe('once more');
    expect(await ask('DELETE', '/templates?path=a.tpl')).toMatchObject({ status: 200 });
    expect((await ask('GET', '/templates?path=a.tpl')).json.error).toBe('Template "a.tpl" not found');
  });

  it.each([
    ['POST', '/templates', 400, 'missing path argument'], ['DELETE', '/templates', 400, 'missing path argument'], ['POST', '/templates?path=../x', 500, 'Invalid template filename'],
    ['GET', '/templates?path=/x', 500, 'Invalid template filename'], ['DELETE', '/templates?path=..', 500, 'Invalid template filename'], ['DELETE', '/templates?path=no', 404, 'Template "no" not found'],
    ['POST', '/templates?path=big', 400, 'at most'],
  ])('%s %s is refused', async (method, path, status, error) => {
    const answer = await ask(method, path, 'x'.repeat(path.endsWith('big') ? 2_000_000 : 1));
    expect(answer.status).toBe(status);
    expect(answer.json.error).toContain(error);
  });

  it('are rendered for what happened, and at each start', async () => {
    await ask('POST', '/templates?path=f.tpl', '{{ container.name }} {{ trigger }} {{ config_get("user.greeting", "") }} {{ properties.p }}');
    const template = { template: 'f.tpl', properties: { p: 'q' } };
    await ask('PUT', '', { templates: { '/made/here': { ...template, when: ['create'] }, '/always': { ...template, when: ['create', 'start'] }, '/copied': { ...template, when: ['copy'] }, once: { ...template, when: ['start'], create_only: true } } });
    await change('start');
    expect([...files().keys()].sort()).toEqual(['/', '/always', '/made', '/made/here', '/once']);
    expect(files().get('/made/here')!.content.toString()).toBe('c1 create hello q');
    expect(files().get('/always')!.content.toString()).toBe('c1 start hello q');

    await change('stop');
    files().get('/once')!.content = Buffer.from('mine');
    files().get('/made/here')!.content = Buffer.from('changed');
    await change('start');
    expect(files().get('/once')!.content.toString()).toBe('mine');
    expect(files().get('/made/here')!.content.toString()).toBe('changed');
    await change('stop');
  });

  it('keep an instance from starting when they are wrong, and say why', async () => {
    await ask('POST', '/templates?path=f.tpl', 'a\n{{ "x"|nofilter }}');
    await expect(change('start')).rejects.toThrow("Failed to render template: [Error (where: parser) in <string> | Line 2 Col 8 near 'nofilter'] Filter 'nofilter' does not exist.");
    await ask('DELETE', '/templates?path=f.tpl');
    await expect(change('start')).rejects.toThrow('Failed to render template: Failed to read template "f.tpl"');
    await ask('PUT', '', {});
    const before = member.host.files.opened.length;
    await change('start');
    expect(member.host.files.opened.length).toBe(before);
  });
});
