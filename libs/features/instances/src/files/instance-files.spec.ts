import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstancesService } from '../instances.service.js';
import { anyTree, FakeMember, settled } from '../testing/fake-member.js';
import { byteRange } from './byte-range.rules.js';
import { dispositionName, fileHeaders, parseGoInteger, pushRequest } from './file-headers.rules.js';
import { goQuote } from './go-quote.rules.js';
import { pathParameter } from './path-parameter.rules.js';

let member: FakeMember;

beforeAll(async () => {
  member = await FakeMember.start();
  await member.create('c1');
  await member.listen();
});
afterAll(() => member.close());

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

async function ask(method: string, path: string, headers: http.OutgoingHttpHeaders = {}, body: Buffer | string = ''): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = http.request({ socketPath: member.host.state.socket, method, path: `/1.0/instances/c1/${path}`, headers }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') }));
  });
  request.once('error', reject);
  request.end(body);
  return promise;
}

const push = (path: string, body: Buffer | string, headers: http.OutgoingHttpHeaders = {}) => ask('POST', `files?path=${path}`, headers, body);
const pull = (path: string, headers: http.OutgoingHttpHeaders = {}) => ask('GET', `files?path=${path}`, headers);

describe('files of an instance', () => {
  it('are made with owner and mode, and keep them when they are written again', async () => {
    expect(await push('/a', 'one', { 'X-LXD-uid': 5, 'X-LXD-gid': 6, 'X-LXD-mode': '0600' })).toMatchObject({ status: 200 });
    await push('/a', 'second', { 'X-LXD-uid': 7, 'X-LXD-mode': '0777' });
    await push('/a', ' and more', { 'X-LXD-write': 'append' });

    expect(await pull('/a')).toMatchObject({
      status: 200, text: 'second and more', headers: { 'x-lxd-uid': '5', 'x-lxd-gid': '6', 'x-lxd-mode': '0600', 'x-lxd-type': 'file', 'content-length': '15' },
    });
    expect(member.seen).toContain('instance-file-pushed /1.0/instances/c1');
  });

  it('are listed, described and removed', async () => {
    await push('/d', '', { 'X-LXD-type': 'directory', 'X-LXD-mode': '0711' });
    await push('/d', '', { 'X-LXD-type': 'directory' });
    await push('/d/l', '../x', { 'X-LXD-type': 'symlink' });

    expect(JSON.parse((await pull('/d')).text)).toMatchObject({ metadata: ['l'] });
    expect(await ask('HEAD', 'files?path=/d')).toMatchObject({ status: 200, text: '', headers: { 'x-lxd-type': 'directory', 'x-lxd-mode': '0711' } });
    expect(await pull('/d/l')).toMatchObject({ text: '../x', headers: { 'x-lxd-type': 'symlink' } });
    expect(await ask('DELETE', 'files?path=/d')).toMatchObject({ status: 500 });
    expect(await ask('DELETE', 'files?path=/d/l')).toMatchObject({ status: 200 });
    expect(await ask('DELETE', 'files?path=/d')).toMatchObject({ status: 200 });
    expect(await pull('/d')).toMatchObject({ status: 404 });
  });

  it('come whole when they are large, and in pieces when that is asked for', async () => {
    const bytes = Buffer.alloc(3_000_000, 'abcdefg');
    await push('/large', bytes);

    expect((await pull('/large')).text.length).toBe(bytes.length);
    expect(await pull('/large', { Range: 'bytes=7-13' })).toMatchObject({ status: 206, text: 'abcdefg', headers: { 'content-range': 'bytes 7-13/3000000' } });
    expect(await pull('/large', { Range: 'bytes=3000000-' })).toMatchObject({ status: 416 });
    expect(await pull('/large', { 'If-Modified-Since': new Date().toUTCString() })).toMatchObject({ status: 304 });
  });

  it.each([
    ['GET', 'files', {}, 400, 'Missing path argument'], ['GET', 'files?path=/no', {}, 404, 'Not Found'], ['POST', 'files?path=/no/x', {}, 404, 'Not Found'],
    ['POST', 'files?path=/x', { 'X-LXD-type': 'pipe' }, 400, 'Bad file type: pipe'], ['POST', 'files?path=/x', { 'X-LXD-write': 'up' }, 400, 'Bad file write mode: up'],
    ['POST', 'files?path=/', {}, 500, 'sftp: "open /: is a directory" (SSH_FX_FAILURE)'], ['POST', 'files?path=/no', { 'X-LXD-write': 'append' }, 404, 'Not Found'],
    ['POST', 'files?path=/l', { 'X-LXD-type': 'symlink' }, 404, 'Not Found'], ['GET', 'sftp', {}, 400, 'Missing or invalid upgrade header'],
  ] as const)('%s %s with %o is refused', async (method, path, headers, status, error) => {
    const answer = await ask(method, path, headers);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ error });
  });

  it('of a running one are served by one connection, until it stops', async () => {
    const instance = await member.get(InstancesService).get('default', 'c1', anyTree);
    const change = async (action: 'start' | 'stop'): Promise<unknown> => settled(await member.get(InstanceStateChanges).change(member.ctx(), instance, { action, force: true }));
    await change('start');
    const before = member.host.files.opened.length;
    await push('/small', 'small');
    for (let i = 0; i < 5; i++) expect((await pull('/small')).text).toBe('small');
    expect(await pull('/none')).toMatchObject({ status: 404 });
    expect(member.host.files.opened.length).toBe(before + 1);
    member.host.files.disconnect();
    await expect.poll(async () => (await pull('/small')).text).toBe('small');
    await change('stop');
    await pull('/small');
    await pull('/small');
    expect(member.host.files.opened.length).toBe(before + 4);
  });

  it('are not written further when the sender goes away', async () => {
    const request = http.request({ socketPath: member.host.state.socket, method: 'POST', path: '/1.0/instances/c1/files?path=/half', headers: { 'Content-Length': 1_000_000 } });
    request.on('error', () => undefined);
    request.write('half');
    await expect.poll(() => member.host.files.tree('c1').get('/half')?.content.toString()).toBe('half');
    request.destroy();

    expect(await pull('/half')).toMatchObject({ status: 200, text: 'half' });
  });
});

describe('SFTP', () => {
  it('takes the connection over', async () => {
    const socket = net.connect(member.host.state.socket);
    socket.write('GET /1.0/instances/c1/sftp HTTP/1.1\r\nHost: x\r\nUpgrade: sftp\r\nConnection: Upgrade\r\n\r\n');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await expect.poll(() => Buffer.concat(chunks).toString('latin1')).toBe('HTTP/1.1 101 Switching Protocols\r\nUpgrade: sftp\r\nConnection: Upgrade\r\n\r\n');
    socket.write(Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]));
    await expect.poll(() => Buffer.concat(chunks).subarray(-9)).toEqual(Buffer.from([0, 0, 0, 5, 2, 0, 0, 0, 3]));
    const gone = new Promise((resolve) => socket.once('close', resolve));
    socket.end();
    await gone;
  });

  it('refuses an instance that is not there, in the usual envelope', async () => {
    const socket = net.connect(member.host.state.socket);
    socket.end('GET /1.0/instances/none/sftp HTTP/1.1\r\nHost: x\r\nUpgrade: sftp\r\nConnection: Upgrade\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toContain('HTTP/1.1 404 Not Found');
    expect(text).toContain('"error":"Instance not found"');
  });
});

describe('what headers and texts mean', () => {
  it('reads modes as LXD does', () => {
    expect(['0644', '420', '0o644', '0x1a4', '0b1', '-1', 'abc', '', '099', '10644'].map(parseGoInteger)).toEqual([420, 420, 420, 420, 1, -1, null, null, null, 10644]);
    expect(pushRequest({ 'x-lxd-mode': '04755', 'x-lxd-uid': '-1', 'x-lxd-gid': '7' })).toMatchObject({ mode: 0o755, uid: 0, gid: 7, type: 'file', append: false });
    expect(pushRequest({ 'x-lxd-type': 'directory' })).toMatchObject({ mode: 0o750 });
    expect(fileHeaders({ mode: 0o101644, uid: 1, gid: 2, size: 3, accessedAt: 0, modifiedAt: 1_778_186_025 })).toMatchObject({ 'X-Lxd-Mode': '0644', 'X-Lxd-Modified': '2026-05-07 20:33:45 +0000 UTC' });
  });

  it('quotes as Go does', () => {
    expect(goQuote(Buffer.from('a"b\\c\n\x00\x7f é \u{1F600}\u200b'))).toBe('"a\\"b\\\\c\\n\\x00\\x7f é \u{1F600}\\u200b"');
    expect(goQuote(Buffer.from([0x61, 0xff, 0xc3]))).toBe('"a\\xff\\xc3"');
  });

  it('takes paths as bytes, and lets none break a header', () => {
    expect(pathParameter('/x?project=p&path=%2Fa+b%ff&path=z')).toEqual(Buffer.from([0x2f, 0x61, 0x20, 0x62, 0xff]));
    expect(pathParameter('/x')).toEqual(Buffer.alloc(0));
    expect(dispositionName(Buffer.from('/a/b\r\nX: y/'))).toBe('b  X: y');
  });

  it('knows pieces of files', () => {
    expect(['bytes=0-0', 'bytes=5-', 'bytes=-3', 'bytes=10-', 'bytes=0-1,3-4', 'bytes=3-2', undefined, 'lines=1-2'].map((header) => byteRange(header, 10)))
      .toEqual([{ first: 0, last: 0 }, { first: 5, last: 9 }, { first: 7, last: 9 }, 'unsatisfiable', null, null, null, null]);
  });
});
