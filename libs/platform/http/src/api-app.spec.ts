import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest, Agent, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller, Global, Injectable, Module } from '@nestjs/common';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Logger, notFound, SilentLogger, withProject, type RequestContext } from '#kernel';
import { Authenticator, ClusterCertificates } from '#platform/auth';
import { createApiApp, type ApiApp } from './create-api-app.js';
import { AllowUntrusted, Body, Ctx, Delete, Get, IfMatch, LookFirst, Param, Post, Put, Query, RawBody, Streaming, WholeBody, type RawRequestBody } from './decorators.js';
import { checkEtag } from './etag.js';
import { HttpModule } from './http.module.js';
import { createdResponse, emptyResponse, operationResponse, streamResponse, syncResponse, type ApiResponse } from './responses.js';
import { WebSocketRouter } from './websocket-router.js';

const thingPost = z.object({ name: z.string().default(''), size: z.number().int().optional(), config: z.record(z.string(), z.string()).default({}) }).meta({ id: 'ThingPost' });
const aborted: string[] = [];

@Injectable()
class Shelf {
  require(name = ''): void { if (name !== 'there') throw notFound('Thing not found'); }
}

@Controller()
class ThingsController {
  @Get('/') @AllowUntrusted() root(): string[] { return ['/1.0']; }
  @Get('/1.0/things') list(@Ctx() ctx: RequestContext, @Query('recursion') recursion?: string): unknown { return { project: ctx.project, recursion, user: ctx.requestor.username }; }
  @Get('/1.0/things/:name') one(@Param('name') name: string): ApiResponse { return syncResponse({ name, html: '<a&b>' }, { etag: { name } }); }
  @Put('/1.0/things/:name') put(@Param('name') name: string, @IfMatch() match?: string): ApiResponse { checkEtag(match, { name }); return emptyResponse(); }
  @Post('/1.0/things') create(@Body({ schema: thingPost }) body: z.infer<typeof thingPost>): ApiResponse { return body.name === 'op' ? operationResponse({ id: 'u', api: () => ({ id: 'u' }) }) : createdResponse(`/1.0/things/${body.name}`); }
  @Put('/1.0/shelf/:name') @LookFirst(Shelf, (shelf, { params }) => shelf.require(params['name'])) shelve(@Body({ schema: thingPost }) body: z.infer<typeof thingPost>): unknown { return body; }
  @Post('/1.0/whole') @WholeBody() whole(@Body({ schema: thingPost }) body: z.infer<typeof thingPost>): unknown { return body; }
  @Delete('/1.0/things/:name') remove(): void { throw notFound('Thing not found'); }
  @Get('/1.0/broken') broken(): void { (undefined as unknown as { x: () => void }).x(); }
  @Post('/1.0/bytes') @Streaming() async bytes(@RawBody() body: RawRequestBody): Promise<unknown> { let n = 0; for await (const c of body.stream) n += (c as Buffer).length; return { n, type: body.contentType, size: body.size }; }
  @Get('/1.0/file') file(): ApiResponse { return streamResponse(Buffer.from('hello'), { contentType: 'text/plain', headers: { 'X-LXD-type': 'file' } }); }
  @Get('/1.0/other') other(@Ctx() ctx: RequestContext): unknown {
    const { project, trusted, requestor, requestId, signal } = withProject(ctx, 'web');
    return { project, trusted, user: requestor.username, same: requestId === ctx.requestId && signal === ctx.signal, original: ctx.project };
  }
  @Get('/1.0/slow') async slow(@Ctx() ctx: RequestContext): Promise<void> { await new Promise<void>((r) => ctx.signal.addEventListener('abort', () => { aborted.push('slow'); r(); })); }
}

@Global()
@Module({
  providers: [
    { provide: Logger, useClass: SilentLogger },
    { provide: ClusterCertificates, useValue: { onChange: () => () => undefined } },
    { provide: Authenticator, useValue: { identify: () => ({ username: 'root', protocol: 'unix', address: '@', trusted: true, allowedProjects: null }) } },
  ],
  exports: [Logger, ClusterCertificates, Authenticator],
})
class FakesModule {}

@Module({ imports: [FakesModule, HttpModule], controllers: [ThingsController], providers: [Shelf] })
class TestModule {}

let api: ApiApp;
let folder: string;
let socketPath: string;

beforeAll(async () => {
  folder = await mkdtemp(`${tmpdir()}/roost-http-`);
  socketPath = `${folder}/unix.socket`;
  api = await createApiApp(TestModule);
  api.app.get(WebSocketRouter).register('/1.0/echo/:id', async (_ctx, params, query, accept) => {
    if (params.id === 'missing') throw notFound('Operation not found');
    const ws = await accept();
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    ws.send(`${params.id} ${query.secret}`);
  });
  await api.server.listenUnix(socketPath);
});

afterAll(async () => {
  await api.server.close();
  await api.app.close();
  await rm(folder, { recursive: true });
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

function call(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (c: Buffer) => chunks.push(c));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const errorText = (code: number, message: string): string =>
  `{"type":"error","status":"","status_code":0,"operation":"","error_code":${code},"error":${JSON.stringify(message)},"metadata":null}\n\n`;

describe('the envelope', () => {
  it('is byte for byte what LXD sends for sync, created and async answers', async () => {
    expect(await call('GET', '/')).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' }, text: '{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":["/1.0"]}\n' });
    expect(await call('POST', '/1.0/things', '{"name":"a"}')).toMatchObject({ status: 201, headers: { location: '/1.0/things/a' }, text: '{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":null}\n' });
    expect(await call('POST', '/1.0/things', '{"name":"op"}')).toMatchObject({ status: 202, headers: { location: '/1.0/operations/u' }, text: '{"type":"async","status":"Operation created","status_code":100,"operation":"/1.0/operations/u","error_code":0,"error":"","metadata":{"id":"u"}}\n' });
    expect((await call('PUT', '/1.0/things/a')).text).toContain('"metadata":{}}');
  });

  it('carries errors with all seven fields', async () => {
    expect(await call('DELETE', '/1.0/things/x')).toMatchObject({ status: 404, text: errorText(404, 'Thing not found'), headers: { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' } });
    expect(await call('GET', '/nope')).toMatchObject({ status: 404, text: errorText(404, 'not found') });
    expect(await call('GET', '/1.0/things/')).toMatchObject({ status: 404 });
    expect(await call('PATCH', '/1.0/things/x')).toMatchObject({ status: 501, text: errorText(501, 'not implemented') });
    expect((await call('HEAD', '/1.0/things')).status).toBe(501);
    expect(await call('OPTIONS', '/1.0/things')).toMatchObject({ status: 200, text: '' });
    expect(await call('LINK', '/1.0/things')).toMatchObject({ status: 501 });
    expect((await call('GET', '/1.0/broken')).status).toBe(500);
  });

  it('leaves text in answers unescaped and sends the ETag quoted', async () => {
    const answer = await call('GET', '/1.0/things/a%2Fb');

    expect(answer.text).toContain('{"name":"a/b","html":"<a&b>"}');
    expect(answer.headers.etag).toMatch(/^"[0-9a-f]{64}"$/);
  });

  it('refuses a write whose If-Match is not the current state', async () => {
    const { etag = '' } = (await call('GET', '/1.0/things/a')).headers;

    expect((await call('PUT', '/1.0/things/a', undefined, { 'If-Match': etag })).status).toBe(200);
    expect(await call('PUT', '/1.0/things/a', undefined, { 'If-Match': 'x' })).toMatchObject({ status: 412, text: errorText(412, `ETag doesn't match: ${etag.replaceAll('"', '')} vs x`) });
  });
});

describe('bodies', () => {
  it('are refused only where what the request names is there', async () => {
    for (const body of [undefined, '{', '[]', '{"name":5}']) {
      expect((await call('PUT', '/1.0/shelf/gone', body)).text).toBe(errorText(404, 'Thing not found'));
      expect((await call('PUT', '/1.0/shelf/there', body)).status).toBe(400);
    }
    expect((await call('PUT', '/1.0/shelf/gone', '{}')).status).toBe(200);
  });

  it('may have to be one value and nothing else', async () => {
    const refused = async (body?: string): Promise<string> => (await call('POST', '/1.0/whole', body)).text;
    for (const body of [undefined, '', ' ', '{', '{"a":']) expect(await refused(body)).toBe(errorText(400, 'unexpected end of JSON input'));
    expect(await refused('{} x')).toBe(errorText(400, "invalid character 'x' after top-level value"));
    expect(await refused('x')).toBe(errorText(400, "invalid character 'x' looking for beginning of value"));
    expect((await call('POST', '/1.0/whole', ' {} ')).status).toBe(200);
  });

  it('are JSON whatever the content type says, and refused in the words of LXD', async () => {
    const cases: [string, string][] = [
      ['', 'EOF'],
      ['{bad', "invalid character 'b' looking for beginning of object key string"],
      ['{"name":5}', 'json: cannot unmarshal number into Go struct field ThingPost.name of type string'],
      ['{"size":"x"}', 'json: cannot unmarshal string into Go struct field ThingPost.size of type int'],
      ['{"config":{"a":true}}', 'json: cannot unmarshal bool into Go struct field ThingPost.config of type string'],
      ['[]', 'json: cannot unmarshal array into Go value of type api.ThingPost'],
    ];
    for (const [body, message] of cases) {
      expect(await call('POST', '/1.0/things', body, { 'Content-Type': 'text/plain' })).toMatchObject({ status: 400, text: errorText(400, message) });
    }
    expect((await call('POST', '/1.0/things', '{"name":"a","config":null} trailing')).status).toBe(201);
  });

  it('may be taken unread', async () => {
    const size = 20 * 1024 * 1024;

    const answer = await call('POST', '/1.0/bytes', 'x'.repeat(size), { 'Content-Type': 'application/json' });

    expect(JSON.parse(answer.text)).toMatchObject({ metadata: { n: size, type: 'application/json', size } });
  });

  it('are refused with 413 when they are too large', async () => {
    const answer = await call('POST', '/1.0/things', '{}', { 'Content-Length': String(200 * 1024 * 1024) }).catch((e: unknown) => String(e));

    expect(answer).toMatchObject({ status: 413 });
  }, 2000);
});

describe('requests', () => {
  it('name their project, caller and query', async () => {
    expect(JSON.parse((await call('GET', '/1.0/things?project=web&recursion=1')).text)).toMatchObject({ metadata: { project: 'web', recursion: '1', user: 'root' } });
  });

  it('stream raw answers', async () => {
    expect(await call('GET', '/1.0/file')).toMatchObject({ status: 200, text: 'hello', headers: { 'content-type': 'text/plain', 'x-lxd-type': 'file', 'content-length': '5' } });
  });

  it('abort their context when the client goes away', async () => {
    const request = httpRequest({ socketPath, path: '/1.0/slow' });
    request.on('error', () => {});
    request.end();
    await delay(50);

    request.destroy();

    await expect.poll(() => aborted).toEqual(['slow']);
  });

  it('stay the same request when asked about another project', async () => {
    const { text } = await call('GET', '/1.0/other');
    expect(JSON.parse(text)).toMatchObject({ metadata: { project: 'web', trusted: true, user: 'root', same: true, original: 'default' } });
  });

  it('do not pile up listeners on a connection that is reused', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++) {
      const status = await new Promise((resolve, reject) => {
        httpRequest({ socketPath, path: '/1.0/things', agent }, (r) => { r.resume(); r.on('end', () => resolve(r.statusCode)); }).on('error', reject).end();
      });
      expect(status).toBe(200);
    }
    agent.destroy();
  });
});

describe('websockets', () => {
  it('are routed by path with parameters and query', async () => {
    const ws = new WebSocket(`ws+unix://${socketPath}:/1.0/echo/7?secret=s`, { perMessageDeflate: false });
    const seen: string[] = [];
    ws.on('message', (data) => { seen.push(data.toString()); if (seen.length === 1) ws.send('ping'); });

    await expect.poll(() => seen).toEqual(['7 s', 'ping']);
    ws.terminate();
  });

  it('answer with the envelope before the upgrade', async () => {
    const refused = (path: string): Promise<unknown> => new Promise((resolve) => {
      const ws = new WebSocket(`ws+unix://${socketPath}:${path}`);
      ws.on('error', () => {});
      ws.on('unexpected-response', (_, r) => { let t = ''; r.on('data', (d: Buffer) => (t += d.toString())); r.on('end', () => resolve({ status: r.statusCode, text: t })); });
    });

    expect(await refused('/1.0/echo/missing')).toEqual({ status: 404, text: errorText(404, 'Operation not found') });
    expect(await refused('/1.0/nothing')).toEqual({ status: 404, text: errorText(404, 'not found') });
  });

  it('answer plain requests as LXD does', async () => {
    expect(await call('GET', '/1.0/echo/7')).toMatchObject({ status: 400, text: 'Bad Request\n', headers: { 'sec-websocket-version': '13' } });
  });
});

describe('the unix socket', () => {
  it('has mode 0660, replaces a stale file and refuses to replace a living daemon', async () => {
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
    const stale = `${folder}/stale.socket`;
    await writeFile(stale, '');

    await api.server.listenUnix(stale);

    await expect(api.server.listenUnix(stale)).rejects.toThrow('Another daemon listens');
  });
});
