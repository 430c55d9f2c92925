import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Global, Module } from '@nestjs/common';
import type { Operation } from '#api-types';
import { ApiClient } from '#client';
import { FakeFaults, FakeHostInfo, FakeImageStore, FakeServerDirectories, FakeStorageDriver, FakeVolumeArchives, FakeVolumeMigration, FakeVolumeSnapshots, FakeVolumeTransfer } from '#drivers/fake';
import { OperationsApiModule } from '#features/operations';
import { PoolsService } from '#features/storage';
import { ServerModule } from '#features/server';
import { Clock, internalContext, LocalMember, Logger, SilentLogger, StateDirectory, SystemClock } from '#kernel';
import { AuthModule, ServerCertificates } from '#platform/auth';
import { Database, DatabaseModule, OpenDatabase, TransactionRunner } from '#platform/database';
import type { MemoryLog } from '#platform/database/testing';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type ApiApp } from '#platform/http';
import { OperationsModule } from '#platform/operations';
import { ReconcileModule } from '#platform/reconcile';
import { HostInfo, ImageStore, Peers, ServerDirectories, StorageDriver, VolumeArchives, VolumeMigration, VolumeSnapshots, VolumeTransfer } from '#ports';
import { FakePeers } from '#ports/testing';
import { ImagesModule } from '../images.module.js';

/** A server with images on a host in memory, its API on a unix socket and, after `listenTls`, on loopback. */
export class ImageWorld {
  readonly faults = new FakeFaults();
  readonly state = new StateDirectory(mkdtempSync(`${tmpdir()}/roost-images-`));
  readonly store = new FakeImageStore(this.faults, this.state);
  readonly host = new FakeStorageDriver(this.faults, { root: this.state.root, imageStore: this.store });
  /** `image-created /1.0/images/...` and so on, in order. */
  readonly seen: string[] = [];
  api!: ApiApp;
  client!: ApiClient;
  private readonly strangers: ApiClient[] = [];

  /** With `cluster`, a member of one: it shares its log with the others and reaches them. */
  constructor(private readonly cluster?: { readonly member: LocalMember; readonly peers: FakePeers; readonly log: MemoryLog }) {}

  async start(): Promise<this> {
    const { store, host, cluster } = this;
    const shared = cluster && { incarnation: cluster.log.incarnation, log: () => cluster.log };
    if (shared !== undefined) {
      // The program expects the tables to be there.
      const fetched = await OpenDatabase.open({ directory: this.state.database, synchronous: 'OFF', ballast: { bytes: 0 }, member: cluster?.member, ...shared });
      await fetched.database.barrier(internalContext());
      await fetched.close();
    }
    const ports = [
      { provide: Logger, useClass: SilentLogger }, { provide: Clock, useClass: SystemClock }, { provide: StateDirectory, useValue: this.state },
      { provide: HostInfo, useFactory: () => new FakeHostInfo() }, { provide: StorageDriver, useValue: host }, { provide: VolumeSnapshots, useValue: new FakeVolumeSnapshots(host) }, { provide: VolumeTransfer, useValue: new FakeVolumeTransfer(host) },
      { provide: VolumeMigration, useValue: new FakeVolumeMigration(host) }, { provide: VolumeArchives, useValue: new FakeVolumeArchives(host, new FakeVolumeTransfer(host)) }, { provide: ServerDirectories, useValue: new FakeServerDirectories(host) }, { provide: ImageStore, useValue: store },
      { provide: LocalMember, useValue: this.cluster?.member ?? new LocalMember() }, { provide: Peers, useValue: this.cluster?.peers ?? new FakePeers() },
    ];
    @Global()
    @Module({ providers: ports, exports: ports.map((port) => port.provide) })
    class FakesModule {}
    @Module({
      imports: [
        FakesModule, DatabaseModule.forRoot({ directory: this.state.database, synchronous: 'OFF', ballast: { bytes: 0 }, ...shared }),
        AuthModule.forRoot({ directory: this.state }), EventBusModule, OperationsModule.forRoot(), ReconcileModule, HttpModule, ServerModule, OperationsApiModule,
        ImagesModule,
      ],
    })
    class WorldModule {}
    this.api = await createApiApp(WorldModule);
    await this.api.server.listenUnix(this.state.socket);
    this.client = new ApiClient({ socketPath: this.state.socket });
    this.api.app.get(EventBus).subscribe({ types: ['lifecycle'], project: null }, (json) => {
      const { metadata } = JSON.parse(json) as { metadata: { action: string; source: string } };
      this.seen.push(`${metadata.action} ${metadata.source}`);
    });
    return this;
  }

  /** A client that is not trusted, over TLS; and where it connects to. */
  async stranger(): Promise<{ client: ApiClient; url: string; certificate: string }> {
    if (this.api.server.boundAddress('https') === null || this.api.server.boundAddress('https') === undefined) {
      await this.client.patch('/1.0', { config: { 'core.https_address': '127.0.0.1:0' } });
    }
    const { certificate } = this.api.app.get(ServerCertificates).current;
    const url = `https://${this.api.server.boundAddress('https')}`;
    const client = new ApiClient({ url, certificate });
    this.strangers.push(client);
    return { client, url, certificate };
  }

  /** Ends the daemon's part and starts it again on the same state, as after a restart. */
  async restart(): Promise<void> {
    await this.close();
    await this.start();
  }

  async close(): Promise<void> {
    for (const client of [this.client, ...this.strangers.splice(0)]) client.close();
    await this.api.server.close();
    await this.api.app.close();
  }

  async end(): Promise<void> {
    await this.close();
    rmSync(this.state.root, { recursive: true, force: true });
  }

  get<T>(type: abstract new (...args: never[]) => T): T {
    return this.api.app.get<T>(type as never, { strict: false });
  }

  /** Sends a file as an image and waits; the operation as it ended. */
  async upload(body: Buffer, headers: Record<string, string> = {}, project = 'default'): Promise<Operation> {
    return this.started('POST', `/1.0/images?project=${project}`, body, { 'content-type': 'application/octet-stream', ...headers });
  }

  /** A request that starts an operation; the operation as it ended, whether well or not. */
  async started(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Operation> {
    const { operation } = await this.client.call<Operation>(method, path, { body, headers });
    return this.client.get<Operation>(`${operation}/wait`);
  }

  async project(name: string, config: Record<string, string>): Promise<void> {
    await this.get(TransactionRunner).run(internalContext(), (tx) => {
      tx.sql.run('INSERT INTO projects (id, name, config) VALUES (?, ?, ?)', tx.nextId('projects'), name, JSON.stringify(config));
      const id = tx.sql.get<{ id: number }>('SELECT id FROM projects WHERE name = ?', name)!.id;
      tx.sql.run("INSERT INTO profiles (id, project_id, name) VALUES (?, ?, 'default')", tx.nextId('profiles'), id);
    });
  }

  rows(): string[] {
    return this.get(Database).read.all<{ name: string; fingerprint: string }>(
      'SELECT p.name, i.fingerprint FROM images i JOIN projects p ON p.id = i.project_id ORDER BY 1, 2').map((row) => `${row.name}/${row.fingerprint}`);
  }

  async pool(name: string): Promise<void> {
    await this.get(PoolsService).create(internalContext(), { name, driver: 'btrfs', description: '', config: {} });
  }

  /** Names below `uploads/`. */
  uploads(): string[] {
    return readdirSync(this.state.uploads);
  }
}
