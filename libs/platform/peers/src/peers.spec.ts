import { request as httpRequest } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { Controller } from '@nestjs/common';
import { WebSocket } from 'ws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { conflict, internalContext, LocalMember, type RequestContext } from '#kernel';
import { ClusterCertificates, ServerCertificates } from '#platform/auth';
import { Database, TransactionRunner } from '#platform/database';
import { Ctx, Get, Post, RawBody, RequestRouter, Streaming, WebSocketRouter, type RawRequestBody } from '#platform/http';
import { laneProtocol } from './byte-lanes.js';
import { FrameStream } from './frame-stream.js';
import { LaneReader } from './lane-reader.js';
import { SilentGate, TlsMember, type ClusterPair } from './testing/index.js';

@Controller()
class WhoController {
  constructor(private readonly local: LocalMember) {}

  @Get('/1.0/on/:member/who') who(@Ctx() ctx: RequestContext): unknown { return { member: this.local.name, requestor: ctx.requestor }; }

  @Get('/1.0/on/:member/slow') slow(): Promise<never> { return new Promise(() => {}); }

  @Post('/1.0/on/:member/bytes') @Streaming()
  async bytes(@RawBody() body: RawRequestBody): Promise<unknown> { return { member: this.local.name, bytes: (await buffer(body.stream)).length }; }
}

/** A member that sends on what names another one, and says in websockets who it is. */
class Member extends TlsMember {
  override async knows(members: readonly TlsMember[], cluster: ClusterPair): Promise<void> {
    await super.knows(members, cluster);
    const router = this.app.get(RequestRouter);
    router.register('/1.0/on/:member', ({ params }) => (params['member'] === this.local.name ? null : Number(params['member']!.slice(1))), { below: true });
    this.app.get(WebSocketRouter).register('/1.0/on/:member/echo', async (ctx, _params, _query, accept) => {
      const socket = await accept();
      socket.on('message', (data) => socket.send(`${this.local.name} ${ctx.requestor.protocol} ${String(data)}`));
    });
  }
}

function* slices(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(65536);
}

interface Answer {
  readonly status: number;
  /** Names only. */
  readonly headers: string[];
  readonly body: { readonly metadata: Record<string, unknown>; readonly error: string };
}

describe('members among each other', () => {
  let a: Member;
  let b: Member;
  /** All that reaches b from others goes through it. */
  let gate: SilentGate;
  beforeAll(async () => {
    gate = new SilentGate({ host: '127.30.0.2', port: 18443 });
    await gate.listen('127.30.0.2', 18444);
    [a, b] = [1, 2].map((id) => new Member(id, `127.30.0.${id}:18443`, { controllers: [WhoController], advertised: `127.30.0.${id}:${id === 2 ? 18444 : 18443}` })) as [Member, Member];
    await Promise.all([a.start(), b.start()]);
    const cluster = await a.app.get(ClusterCertificates).create();
    for (const member of [a, b]) await member.knows([a, b], cluster);
    await TlsMember.found([a, b]);
  });
  afterAll(async () => {
    gate.close();
    await Promise.all([a, b].map((member) => member.stop()));
  });

  const ask = (member: Member, path: string, options: { method?: string; body?: Buffer; headers?: Record<string, string> } = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath: member.socket, path, method: options.method ?? 'GET', headers: options.headers ?? {} }, (response) => {
        const headers = response.rawHeaders.filter((_, i) => i % 2 === 0);
        text(response).then((body) => resolve({ status: response.statusCode!, headers, body: JSON.parse(body) }), reject);
      });
      request.on('error', reject);
      request.end(options.body);
    });

  it('call each other by name and hear of errors as they were thrown', async () => {
    b.peers.handle('thing.double', async ({ n }: { n: number }, caller) => ({ n: n * 2, from: caller.memberName, who: caller.requestor.username }));
    b.peers.handle('thing.refuse', async () => { throw conflict('Instance "ä" is busy'); });

    expect(await a.peers.call(2, 'thing.double', { n: 4 }, { requestor: { username: 'root', protocol: 'unix', address: '@' } })).toEqual({ n: 8, from: 'm1', who: 'root' });
    await expect(a.peers.call(2, 'thing.refuse', {})).rejects.toMatchObject({ kind: 'conflict', message: 'Instance "ä" is busy' });
    await expect(a.peers.call(2, 'thing.unknown', {})).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('give up a call in time and tell the other side', async () => {
    let aborted = false;
    b.peers.handle('thing.wait', async (_request, { signal }) => {
      signal.addEventListener('abort', () => { aborted = true; });
      await sleep(5000, undefined, { signal }).catch(() => undefined);
    });

    await expect(a.peers.call(2, 'thing.wait', {}, { timeoutMs: 100 })).rejects.toMatchObject({ kind: 'unavailable' });
    await expect.poll(() => aborted).toBe(true);
  });

  it('stream many bytes both ways, each direction with its own end', async () => {
    const size = 8 * 1024 * 1024;
    b.peers.handleStream('thing.echo', async ({ times }: { times: number }, stream) => {
      // Reading by plain iteration would end the other direction, too.
      const chunks: Buffer[] = [];
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
      const got = Buffer.concat(chunks);
      for (let i = 0; i < times; i++) await new Promise<void>((resolve) => stream.write(got, () => resolve()));
      stream.end();
    });
    const stream = await a.peers.openStream(2, 'thing.echo', { times: 2 });
    stream.end(Buffer.alloc(size, 7));

    const back = await buffer(stream);
    expect(back.length).toBe(2 * size);
    expect(back.every((byte) => byte === 7)).toBe(true);
  });

  it('hold a sender back that nobody reads from', async () => {
    let written = 0;
    b.peers.handleStream('thing.flood', async (_request, stream) => {
      const chunk = Buffer.alloc(1024 * 1024);
      for (let i = 0; i < 200 && !stream.destroyed; i++) {
        await new Promise<void>((resolve) => stream.write(chunk, () => resolve()));
        written++;
      }
    });
    const stream = await a.peers.openStream(2, 'thing.flood', {});
    await sleep(500);
    stream.destroy();

    expect(written).toBeLessThan(60);
  });

  it('tell the reader of a stream why the other side gave up', async () => {
    b.peers.handleStream('thing.fail', async (_request, stream) => {
      stream.write('begun');
      await sleep(20);
      throw conflict('It went wrong');
    });
    const stream = await a.peers.openStream(2, 'thing.fail', {});
    stream.end();

    await expect(buffer(stream)).rejects.toMatchObject({ kind: 'conflict', message: 'It went wrong' });
    await expect(a.peers.openStream(2, 'thing.unknown', {})).rejects.toMatchObject({ kind: 'not-found' });
  });

  describe('when much is to come, over a connection of its own,', () => {
    const bulk = { bulk: true };
    /** How many bytes came over calls, not over lanes. */
    const framesOf = async (work: () => Promise<void>): Promise<number> => {
      const seen = vi.spyOn(FrameStream.prototype, 'push');
      const before = laneBytes();
      await work();
      const pieces = seen.mock.calls.filter(([part]) => part !== null).reduce((sum, [part]) => sum + (part as Buffer).length, 0);
      seen.mockRestore();
      return pieces - (laneBytes() - before);
    };
    const open = LaneReader.open.bind(LaneReader);
    let lanes: LaneReader[] = [];
    const laneBytes = (): number => lanes.reduce((sum, { received }) => sum + received, 0);
    beforeEach(() => {
      lanes = [];
      vi.spyOn(LaneReader, 'open').mockImplementation(async (...args) => {
        const lane = await open(...args);
        lanes.push(lane);
        return lane;
      });
    });
    afterEach(() => void vi.restoreAllMocks());

    it('stream all of it, in order, while the other direction stays with the call', async () => {
      const words = Buffer.from(new Uint32Array(6_000_000).map((_, i) => i).buffer);
      a.peers.handleStream('thing.words', async (_request, stream) => {
        const asked = await buffer(stream.iterator({ destroyOnReturn: false }));
        await pipeline(Readable.from(slices(words, Number(asked.toString()))), stream);
      });
      let got = Buffer.alloc(0);

      const framed = await framesOf(async () => {
        const stream = await b.peers.openStream(1, 'thing.words', {}, bulk);
        stream.end('100003');
        got = await buffer(stream);
      });

      expect(got.equals(words)).toBe(true);
      expect({ lanes: lanes.length, framed }).toEqual({ lanes: 1, framed: '100003'.length });
    });

    it('end with nothing when nothing was sent', async () => {
      a.peers.handleStream('thing.nothing', async (_request, stream) => void stream.end());
      const stream = await b.peers.openStream(1, 'thing.nothing', {}, bulk);
      stream.end();

      expect(await buffer(stream)).toHaveLength(0);
    });

    it('hold a sender back that nobody reads from, and go on', async () => {
      let written = 0;
      a.peers.handleStream('thing.flood', async (_request, stream) => {
        const chunk = Buffer.alloc(1024 * 1024);
        for (; written < 60 && !stream.destroyed; written++) await new Promise<void>((resolve) => stream.write(chunk, () => resolve()));
        stream.end();
      });
      const stream = await b.peers.openStream(1, 'thing.flood', {}, bulk);
      stream.end();
      await expect.poll(() => written, { interval: 200 }).toBeGreaterThan(0);
      for (let seen = -1; seen !== written; await sleep(200)) seen = written;

      expect(written).toBeLessThan(40);
      expect(await buffer(stream)).toHaveLength(60 * 1024 * 1024);
    });

    it('tell the reader why the other side gave up', async () => {
      a.peers.handleStream('thing.fail', async (_request, stream) => {
        await new Promise<void>((resolve) => stream.write('begun', () => resolve()));
        throw conflict('It went wrong');
      });
      const stream = await b.peers.openStream(1, 'thing.fail', {}, bulk);
      stream.end();

      await expect(buffer(stream)).rejects.toMatchObject({ kind: 'conflict', message: 'It went wrong' });
    });

    it('tell the sender that nobody wants more', async () => {
      const ended = Promise.withResolvers<boolean>();
      a.peers.handleStream('thing.endless', async (_request, stream, { signal }) => {
        signal.addEventListener('abort', () => ended.resolve(true));
        await pipeline(Readable.from(endless()), stream).catch(() => undefined);
      });
      const stream = await b.peers.openStream(1, 'thing.endless', {}, bulk);
      stream.once('data', () => stream.destroy());

      expect(await ended.promise).toBe(true);
    });

    it('never take a part for the whole when the connection breaks', async () => {
      a.peers.handleStream('thing.endless', async (_request, stream) => void pipeline(Readable.from(endless()), stream).catch(() => undefined));
      const stream = await b.peers.openStream(1, 'thing.endless', {}, bulk);
      stream.end();
      const failed = expect(buffer(stream)).rejects.toMatchObject({ kind: 'unavailable' });

      await expect.poll(() => laneBytes()).toBeGreaterThan(0);
      lanes[0]!.destroy();

      await failed;
    });

    it('come to nobody but the member that was told of them', async () => {
      a.peers.handleStream('thing.secret', async (_request, stream) => void stream.end('secret'));
      const [host, port] = a.address.split(':');
      const { certificate, key } = b.app.get(ServerCertificates).current;
      const heard = (token: string, options: object): Promise<string> => new Promise((resolve) => {
        let said = '';
        const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: [laneProtocol], ...options }, () => socket.write(token));
        socket.on('data', (chunk) => (said += String(chunk))).on('error', () => undefined).once('close', () => resolve(said));
      });
      let others: string[] = [];
      vi.mocked(LaneReader.open).mockImplementationOnce(async (options, token, listener) => {
        others = [await heard(token, {}), await heard('0'.repeat(token.length), { cert: certificate, key })];
        return open(options, token, listener);
      });
      const stream = await b.peers.openStream(1, 'thing.secret', {}, bulk);
      stream.end();

      expect(await text(stream)).toBe('secret');
      expect(others).toEqual(['', '']);
    });
  });

  it('send requests on, with who asked and bodies of any size', async () => {
    expect((await ask(a, '/1.0/on/m2/who')).body.metadata).toEqual({ member: 'm2', requestor: expect.objectContaining({ protocol: 'unix', username: 'root' }) });
    expect((await ask(a, '/1.0/on/m1/who')).body.metadata).toMatchObject({ member: 'm1' });
    const sent = await ask(a, '/1.0/on/m2/bytes', { method: 'POST', body: Buffer.alloc(8 * 1024 * 1024) });
    expect(sent.body.metadata).toEqual({ member: 'm2', bytes: 8 * 1024 * 1024 });
  });

  it('answer with the headers of the member that was asked, as it wrote them', async () => {
    const [there, here] = [await ask(b, '/1.0/on/m2/who'), await ask(a, '/1.0/on/m2/who')];

    expect(here.headers.filter((name) => !['Connection', 'Keep-Alive'].includes(name))).toEqual(there.headers.filter((name) => !['Connection', 'Keep-Alive'].includes(name)));
  });

  it('take no word for who asked from anybody but members', async () => {
    const headers = { 'X-Roost-Forwarded': '1', 'X-LXD-forwarded-username': 'somebody', 'X-LXD-forwarded-protocol': 'tls', 'X-LXD-forwarded-address': '1.2.3.4:5' };

    for (const path of ['/1.0/on/m1/who', '/1.0/on/m2/who']) {
      expect((await ask(a, path, { headers })).body.metadata['requestor']).toMatchObject({ username: 'root', protocol: 'unix' });
    }
  });

  it('carry websockets through', async () => {
    const socket = new WebSocket(`ws+unix://${a.socket}:/1.0/on/m2/echo`);
    const answer = new Promise<string>((resolve, reject) => {
      socket.on('open', () => socket.send('hello'));
      socket.on('message', (data) => resolve(String(data)));
      socket.on('error', reject);
    });

    expect(await answer).toBe('m2 unix hello');
    socket.terminate();
  });

  it('say that a member cannot be reached, at once', async () => {
    const before = performance.now();
    await a.app.get(TransactionRunner).run(internalContext(), (tx) => tx.sql.run("INSERT INTO nodes (id, name, address, architecture) VALUES (3, 'm3', '127.30.0.3:18443', 'x86_64')"));

    const { status, body } = await ask(a, '/1.0/on/m3/who');
    expect({ status, error: body.error }).toEqual({ status: 500, error: 'Missing event connection with target cluster member' });
    await expect(a.peers.call(3, 'x', {}, { timeoutMs: 3000 })).rejects.toMatchObject({ kind: 'unavailable' });
    expect(performance.now() - before).toBeLessThan(4000);
  });

  it('do not hear one that was removed, on the connection it has either', async () => {
    b.peers.handle('thing.any', async () => ({}));
    expect(await a.peers.call(2, 'thing.any', {})).toEqual({});
    const row = b.app.get(Database).read.get<{ certificate: string }>('SELECT certificate FROM nodes WHERE id = 1')!;

    const trust = (certificate: string): Promise<unknown> => b.app.get(TransactionRunner).run(internalContext(), (tx) => tx.sql.run('UPDATE nodes SET certificate = ? WHERE id = 1', certificate));
    await trust('');
    await expect(a.peers.call(2, 'thing.any', {}, { timeoutMs: 2000 })).rejects.toMatchObject({ kind: expect.stringMatching(/unavailable|forbidden/) });
    await trust(row.certificate);
    await expect.poll(() => a.peers.call(2, 'thing.any', {}).catch(() => 'refused'), { timeout: 5000 }).toEqual({});
  });

  it('end what is under way with a member that falls silent, and refuse more at once', async () => {
    const slow = ask(a, '/1.0/on/m2/slow');
    const socket = new WebSocket(`ws+unix://${a.socket}:/1.0/on/m2/echo`);
    const closed = new Promise((resolve) => void socket.on('error', () => undefined).once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));

    gate.fallSilent();

    expect(await slow).toMatchObject({ status: 500, body: { error: 'Get "https://127.30.0.2:18444/1.0/on/m2/slow": EOF' } });
    await closed;
    const before = performance.now();
    expect(await ask(a, '/1.0/on/m2/who')).toMatchObject({ status: 500, body: { error: 'Missing event connection with target cluster member' } });
    expect(performance.now() - before).toBeLessThan(500);

    gate.speak();
    await expect.poll(async () => (await ask(a, '/1.0/on/m2/who')).status, { timeout: 5000 }).toBe(200);
  });

  it('refuse HTTP/2 to whoever is no member, and give HTTP/1.1 to whoever offers it', async () => {
    const [host, port] = a.address.split(':');
    const offered = (protocols: string[]): Promise<string | false | null> => new Promise((resolve, reject) => {
      const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: protocols }, () => { resolve(socket.alpnProtocol); socket.destroy(); });
      socket.on('error', reject);
    });
    expect(await offered(['h2', 'http/1.1'])).toBe('http/1.1');

    const session = connectH2(`https://${a.address}`, { rejectUnauthorized: false });
    const closed = new Promise((resolve) => { session.on('close', () => resolve('closed')); session.on('error', () => resolve('closed')); });
    session.request({ ':path': '/' }).on('error', () => undefined);
    expect(await closed).toBe('closed');
  });

  it('refuse members of another history, and say so', async () => {
    b.peers.handle('thing.any', async () => ({}));
    a.incarnation = 'other';

    await expect(a.peers.call(2, 'thing.any', {})).rejects.toMatchObject({ kind: 'precondition' });
  });

  it('end without waiting for the streams they keep open with each other', async () => {
    const started = performance.now();
    await b.api.server.close(10_000);

    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
