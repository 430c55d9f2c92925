import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Global, Module, type DynamicModule, type INestApplication, type Type } from '@nestjs/common';
import { Clock, internal, internalContext, LocalMember, Logger, SilentLogger, StateDirectory, SystemClock } from '#kernel';
import { MemberLiveness, Peers } from '#ports';
import { AuthModule, ClusterCertificates, ServerCertificates } from '#platform/auth';
import { Database, DatabaseModule, TransactionRunner } from '#platform/database';
import { EventBusModule, EventMesh } from '#platform/events';
import { createApiApp, HttpModule, RequestRouter, type ApiApp } from '#platform/http';
import { MemberForwarder } from '../member-forwarder.js';
import { PeersModule } from '../peers.module.js';

/** The certificate all members of a cluster present, as PEM. */
export interface ClusterPair {
  readonly certificate: string;
  readonly key: string;
}

export interface TlsMemberOptions {
  readonly imports?: readonly (Type | DynamicModule)[];
  readonly controllers?: readonly Type[];
  /** Where the others find it, if not where it listens. */
  readonly advertised?: string;
}

/** A member with an API of its own that really speaks TLS with others in this process; without a log: each has its own rows. */
export class TlsMember {
  readonly root = mkdtempSync(join(tmpdir(), 'roost-peers-'));
  readonly local = new LocalMember();
  /** Members that count as offline here. */
  readonly offline = new Set<number>();
  api!: ApiApp;
  incarnation = 'h';

  constructor(readonly id: number, readonly address: string, private readonly options: TlsMemberOptions = {}) {}

  get app(): INestApplication { return this.api.app; }
  get peers(): Peers { return this.app.get(Peers); }
  get socket(): string { return join(this.root, 'unix.socket'); }
  get advertised(): string { return this.options.advertised ?? this.address; }

  async start(): Promise<void> {
    const state = new StateDirectory(this.root);
    const liveness = { isOnline: (id: number) => !this.offline.has(id), lastSeenMs: () => null, leaderId: () => null, onChange: () => () => undefined } satisfies MemberLiveness;
    const provided = [
      { provide: Logger, useValue: new SilentLogger() }, { provide: LocalMember, useValue: this.local }, { provide: Clock, useValue: new SystemClock() },
      { provide: StateDirectory, useValue: state }, { provide: MemberLiveness, useValue: liveness },
    ];
    @Global() @Module({ providers: provided, exports: provided.map(({ provide }) => provide) }) class Foundation {}
    const imports = [Foundation, DatabaseModule.forRoot({ directory: state.database, synchronous: 'OFF', ballast: { bytes: 0 } }), AuthModule.forRoot({ directory: state }), EventBusModule, HttpModule, PeersModule];
    @Module({ imports: [...imports, ...(this.options.imports ?? [])], controllers: [...(this.options.controllers ?? [])] }) class Root {}
    this.api = await createApiApp(Root);
    await this.api.server.listenUnix(this.socket);
  }

  /** As a member that joined: rows of all, the cluster's certificate, and what an open connection to the log brings about. */
  async knows(members: readonly TlsMember[], cluster: ClusterPair): Promise<void> {
    Object.assign(this.local, { id: this.id, name: `m${this.id}`, clustered: true });
    await this.app.get(ClusterCertificates).install(cluster.certificate, cluster.key);
    await this.app.get(TransactionRunner).run(internalContext(), (tx) => {
      tx.sql.run('DELETE FROM nodes');
      for (const { id, advertised, app } of members) {
        tx.sql.run("INSERT INTO nodes (id, name, address, architecture, certificate) VALUES (?, ?, ?, 'x86_64', ?)", id, `m${id}`, advertised, app.get(ServerCertificates).current.certificate);
      }
    });
    Object.defineProperty(this.app.get(Database), 'head', { get: () => ({ incarnation: this.incarnation, index: 1, hash: '', level: 1 }) });
    await this.api.server.setListener('https', this.address);
    const router = this.app.get(RequestRouter);
    router.barrier = async () => 'fresh';
    router.forwarder = this.app.get(MemberForwarder);
  }

  /** Resolves when members that know each other have found each other; rejects when that takes long. */
  static async found(members: readonly TlsMember[]): Promise<void> {
    const ready = (one: TlsMember): boolean => {
      const mesh = one.app.get(EventMesh);
      return members.every(({ id }) => id === one.id || mesh.connected(id));
    };
    for (let tries = 0; !members.every(ready); tries++) {
      if (tries === 500) throw internal('The members do not find each other');
      await sleep(10);
    }
  }

  /** The daemon ends; its directory stays. */
  async end(): Promise<void> {
    await this.api.server.close();
    await this.app.close();
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.root, { recursive: true, force: true });
  }
}
