import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { Global, Module, type Provider } from '@nestjs/common';
import { Clock, LocalMember, Logger, SilentLogger, StateDirectory, SystemClock } from '#kernel';
import { FakeHostInfo, FakeStorageDriver } from '#drivers/fake';
import { AuthModule } from '#platform/auth';
import { ClusterLog, DatabaseModule, TransactionRunner } from '#platform/database';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type ApiApp } from '#platform/http';
import { OperationsModule } from '#platform/operations';
import { HostInfo, MemberLiveness, Peers, StorageDriver } from '#ports';
import { FakePeerNetwork, FakePeers } from '#ports/testing';
import { ServerModule } from '#features/server';
import { ClusterModule } from '../cluster.module.js';

export interface Answer {
  readonly status: number;
  readonly etag: string;
  readonly error: string;
  readonly metadata: any;
}

/** Everybody in `online` is there; the first member leads. */
export class FakeLiveness extends MemberLiveness {
  readonly online = new Set([1]);
  override isOnline(id: number): boolean { return this.online.has(id); }
  override lastSeenMs(): number | null { return null; }
  override leaderId(): number { return 1; }
  override onChange(): () => void { return () => undefined; }
}

/** One server with `/1.0/cluster` on it; the cluster's log is its own, so that there is no etcd. */
export class SingleMember {
  readonly local = new LocalMember();
  readonly network = new FakePeerNetwork();
  readonly peers: FakePeers = this.network.add({ id: 1, name: 'm1', address: '127.0.0.1:1' });
  readonly liveness = new FakeLiveness();
  readonly events: { action: string; source: string }[] = [];
  /** What was asked of the log. */
  readonly released: number[] = [];
  readonly dismissed: number[] = [];
  api!: ApiApp;
  folder!: string;

  static async start(): Promise<SingleMember> {
    const member = new SingleMember();
    await member.open();
    return member;
  }

  get<T>(type: abstract new (...args: never[]) => T): T {
    return this.api.app.get(type as never, { strict: false });
  }

  async close(): Promise<void> {
    await this.api.server.close();
    await this.api.app.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Over the unix socket, or over TLS with a client certificate. */
  send(method: string, path: string, body?: unknown, options: { tls?: { certificate: string; key: string }; ifMatch?: string } = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const headers: Record<string, string> = options.ifMatch === undefined ? {} : { 'If-Match': options.ifMatch };
    const port = Number(this.api.server.boundAddress('https')?.split(':').pop());
    const request = options.tls === undefined
      ? httpRequest({ socketPath: `${this.folder}/unix.socket`, method, path, headers })
      : httpsRequest({ host: '127.0.0.1', port, method, path, headers, rejectUnauthorized: false, agent: false, cert: options.tls.certificate, key: options.tls.key });
    request.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const { error = '', metadata = null } = text.startsWith('{') ? (JSON.parse(text) as { error: string; metadata: unknown }) : { metadata: text };
        resolve({ status: response.statusCode ?? 0, etag: response.headers.etag ?? '', error, metadata });
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** Waits for the operation that is answered; its `err`, empty when it succeeded. */
  async finish(answer: Promise<Answer>): Promise<string> {
    const { metadata } = await answer;
    return (await this.send('GET', `/1.0/operations/${metadata.id}/wait`)).metadata.err;
  }

  async enable(): Promise<void> {
    await this.send('PATCH', '/1.0', { config: { 'core.https_address': `127.0.0.1:${await freePort()}`, 'core.trust_password': 'sekret' } });
    await this.send('PUT', '/1.0/cluster', { server_name: 'm1', enabled: true });
    while (!this.local.clustered) await new Promise((done) => setTimeout(done, 5));
  }

  private async open(): Promise<void> {
    this.folder = await mkdtemp(`${tmpdir()}/roost-cluster-`);
    const state = new StateDirectory(this.folder);
    const providers: Provider[] = [
      { provide: Logger, useClass: SilentLogger }, { provide: Clock, useClass: SystemClock }, { provide: LocalMember, useValue: this.local },
      { provide: HostInfo, useFactory: () => new FakeHostInfo() }, { provide: StorageDriver, useFactory: () => new FakeStorageDriver() },
      { provide: Peers, useValue: this.peers }, { provide: MemberLiveness, useValue: this.liveness },
    ];
    @Global()
    @Module({ providers, exports: [Logger, Clock, LocalMember, HostInfo, StorageDriver, Peers, MemberLiveness] })
    class FakesModule {}
    const database = DatabaseModule.forRoot({ directory: state.database, synchronous: 'OFF', ballast: { bytes: 0 } });
    const { OperationsApiModule } = await import('#features/operations');
    @Module({ imports: [FakesModule, database, AuthModule.forRoot({ directory: state }), EventBusModule, OperationsModule.forRoot(), HttpModule, ServerModule, OperationsApiModule, ClusterModule] })
    class TestModule {}
    this.api = await createApiApp(TestModule);
    this.standInForTheLog();
    this.get(EventBus).subscribe({ types: ['lifecycle'], project: null }, (json) => this.events.push((JSON.parse(json) as { metadata: { action: string; source: string } }).metadata));
    await this.api.server.listenUnix(`${this.folder}/unix.socket`);
  }

  /** The log of the cluster goes on in this member's file. */
  private standInForTheLog(): void {
    const runner = this.get(TransactionRunner);
    const stand: Omit<ClusterLog, never> = {
      enable: async (ctx, { name }, fill) => {
        await runner.run(ctx, (tx) => {
          fill(tx);
          tx.sql.run("UPDATE nodes SET voter = 'voter' WHERE id = 1");
        });
        Object.assign(this.local, { name, clustered: true });
      },
      admission: async () => ({ incarnation: 'i', level: 1, endpoints: [], clusterId: '1', ca: '', caKey: '' }),
      join: async () => undefined,
      rejoin: async () => ({ backup: '' }),
      refetch: async () => undefined,
      snapshot: async () => Readable.from(['the database']),
      release: async (id) => void this.released.push(id),
      admitWitness: async () => ({ incarnation: 'i', endpoints: [], clusterId: '1', ca: '', certificate: '', key: '' }),
      dismissWitness: async (id) => void this.dismissed.push(id),
      leave: async () => void Object.assign(this.local, { id: 1, name: 'none', clustered: false }),
      state: () => ({ clustered: this.local.clustered, quorum: 'ok', head: 1, knownLevel: 1 }),
    };
    Object.assign(this.get(ClusterLog), stand);
  }
}

function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number };
    server.close(() => resolve(port));
  });
  return promise;
}
