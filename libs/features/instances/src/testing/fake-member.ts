import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Global, Module, type DynamicModule, type INestApplication, type Type } from '@nestjs/common';
import type { Instance } from '#api-types';
import { internalContext, LocalMember, Logger, SilentLogger, StateDirectory, SystemClock, Clock, type RequestContext } from '#kernel';
import { ExecSessions, HostInfo, ImageStore, InstanceCheckpoints, InstanceDriver, InstanceFiles, InstanceLogs, MemberLiveness, NetworkDriver, Peers, ServerDirectories, StorageDriver, VolumeArchives, VolumeMigration, VolumeSnapshots, VolumeTransfer } from '#ports';
import { FakePeers, type FakePeerNetwork } from '#ports/testing';
import {
  FakeExecSessions, FakeFaults, FakeHostInfo, FakeImageStore, FakeInstanceCheckpoints, FakeInstanceDriver, FakeInstanceLogs, FakeNetworkDriver, FakeServerDirectories, FakeStorageDriver, FakeVolumeArchives, FakeVolumeMigration, FakeVolumeSnapshots, FakeVolumeTransfer,
} from '#drivers/fake';
import { AuthModule } from '#platform/auth';
import { Database, DatabaseModule, ChangeFeed, TransactionRunner, type OpenOptions } from '#platform/database';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, HttpServer } from '#platform/http';
import { OperationsModule, OperationsService, type OperationHandle } from '#platform/operations';
import { ReconcileModule } from '#platform/reconcile';
import { PoolsService } from '#features/storage';
import { OperationsApiModule } from '#features/operations';
import { ServerModule } from '#features/server';
import { InstancesModule } from '../instances.module.js';
import { InstancesLifecycle } from '../instances-lifecycle.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { FakeInstanceFiles } from './fake-files.js';
import { InstanceCreation } from '../instance-creation.service.js';

export const anyTree: InstanceTree = { collection: 'instances', type: null };

/** A host in memory that outlives the daemons put on it. */
export class FakeHost {
  readonly faults = new FakeFaults();
  readonly member = new LocalMember();
  readonly root = mkdtempSync(join(tmpdir(), 'roost-instances-'));
  readonly state = new StateDirectory(this.root);
  readonly images = new FakeImageStore(this.faults, this.state);
  readonly storage = new FakeStorageDriver(this.faults, { imageStore: this.images });
  readonly snapshots = new FakeVolumeSnapshots(this.storage, this.faults);
  readonly transfers = new FakeVolumeTransfer(this.storage, this.faults);
  readonly migrations = new FakeVolumeMigration(this.storage, this.faults);
  readonly archives = new FakeVolumeArchives(this.storage, this.transfers, this.faults);
  readonly directories = new FakeServerDirectories(this.storage, this.faults);
  readonly networks = new FakeNetworkDriver(this.faults);
  readonly instances = new FakeInstanceDriver(this.faults);
  readonly checkpoints = new FakeInstanceCheckpoints(this.instances, this.faults);
  readonly exec = new FakeExecSessions(this.faults);
  readonly logs = new FakeInstanceLogs(this.faults);
  readonly files = new FakeInstanceFiles();
  readonly info = new FakeHostInfo(this.faults);

  constructor() {
    for (const directory of [this.state.database, this.state.uploads, this.state.backups, this.state.images, this.state.daemonRun]) mkdirSync(directory, { recursive: true });
  }

  remove(): void {
    this.exec.dispose();
    this.files.dispose();
    rmSync(this.root, { recursive: true, force: true });
  }
}

export interface FakeMemberOptions {
  /** False: `startUp` is the test's to call. */
  readonly startUp?: boolean;
  /** Wires to other members of this process. */
  readonly network?: FakePeerNetwork;
  /** Instead of making a pool. */
  readonly prepare?: (member: FakeMember) => Promise<void>;
  readonly database?: Pick<OpenOptions, 'log' | 'incarnation'>;
}

function peersOf({ id, name }: LocalMember, network?: FakePeerNetwork): FakePeers {
  return network === undefined ? new FakePeers() : network.add({ id, name, address: `127.0.0.${id}:8443` });
}

/** Who is online by what the wires say. */
class FakeLiveness extends MemberLiveness {
  constructor(private readonly peers: Peers) {
    super();
  }

  override isOnline(memberId: number): boolean {
    return this.peers.isOnline(memberId);
  }

  override lastSeenMs(): null {
    return null;
  }

  override leaderId(): null {
    return null;
  }

  override onChange(): () => void {
    return () => {};
  }
}

@Global()
@Module({})
class HostModule {
  static of(host: FakeHost, { network }: FakeMemberOptions): DynamicModule {
    const providers = [
      { provide: MemberLiveness, useFactory: (peers: Peers) => new FakeLiveness(peers), inject: [Peers] },
      { provide: Peers, useValue: peersOf(host.member, network) },
      { provide: StateDirectory, useValue: host.state }, { provide: LocalMember, useValue: host.member }, { provide: Logger, useClass: SilentLogger }, { provide: Clock, useClass: SystemClock },
      { provide: StorageDriver, useValue: host.storage }, { provide: VolumeSnapshots, useValue: host.snapshots }, { provide: VolumeTransfer, useValue: host.transfers }, { provide: VolumeMigration, useValue: host.migrations }, { provide: VolumeArchives, useValue: host.archives }, { provide: ServerDirectories, useValue: host.directories }, { provide: ImageStore, useValue: host.images }, { provide: NetworkDriver, useValue: host.networks },
      { provide: InstanceDriver, useValue: host.instances }, { provide: ExecSessions, useValue: host.exec }, { provide: InstanceLogs, useValue: host.logs },
      { provide: InstanceFiles, useValue: host.files }, { provide: InstanceCheckpoints, useValue: host.checkpoints },
      { provide: HostInfo, useValue: host.info },
    ];
    return { module: HostModule, providers, exports: providers.map((provider) => provider.provide) };
  }
}

@Module({})
class MemberModule {
  static of(host: FakeHost, options: FakeMemberOptions): DynamicModule {
    return {
      module: MemberModule,
      imports: [
        HostModule.of(host, options), DatabaseModule.forRoot({ directory: host.state.database, synchronous: 'OFF', ballast: { bytes: 0 }, ...options.database }),
        AuthModule.forRoot({ directory: host.state }), EventBusModule, OperationsModule.forRoot({ undoRetryDelaysMs: [1], progressIntervalMs: 0 }), ReconcileModule, HttpModule, ServerModule, OperationsApiModule,
        InstancesModule,
      ],
    };
  }
}

/** The whole of instances and what they stand on, wired as in the daemon, on a fake host; a pool `default` and the default profile's root disk. */
export class FakeMember {
  /** `action source` of every lifecycle event, and the events themselves. */
  readonly seen: string[] = [];
  readonly events: { action: string; source: string; context?: unknown; requestor?: unknown }[] = [];

  private constructor(
    readonly host: FakeHost,
    readonly app: INestApplication,
    private readonly server: HttpServer,
  ) {}

  static async start(host = new FakeHost(), options: FakeMemberOptions = {}): Promise<FakeMember> {
    const { app, server } = await createApiApp(MemberModule.of(host, options));
    const member = new FakeMember(host, app, server);
    member.get(EventBus).subscribe({ types: ['lifecycle'], project: null }, (json) => {
      const { metadata } = JSON.parse(json) as { metadata: { action: string; source: string } };
      member.events.push(metadata);
      member.seen.push(`${metadata.action} ${metadata.source}`);
    });
    await (options.prepare === undefined ? member.preparePool() : options.prepare(member));
    if (options.startUp !== false) await member.startUp();
    member.seen.length = 0;
    return member;
  }

  /** Answers on `state.socket` from now on. */
  async listen(): Promise<void> {
    await this.server.listenUnix(this.host.state.socket);
  }

  async startUp(): Promise<void> {
    await this.get(OperationsService).recover();
    await this.get(InstancesLifecycle).startUp();
  }

  get<T>(type: Type<T> | (abstract new (...args: never[]) => T)): T {
    return this.app.get(type as Type<T>, { strict: false });
  }

  get database(): Database {
    return this.get(Database);
  }

  get transactions(): TransactionRunner {
    return this.get(TransactionRunner);
  }

  get feed(): ChangeFeed {
    return this.get(ChangeFeed);
  }

  ctx(project = 'default'): RequestContext {
    return { ...internalContext(undefined, project), requestor: { username: 'root', protocol: 'unix', address: '@' } };
  }

  /** An empty instance; throws when its operation failed. */
  async create(name: string, body: Parameters<InstanceCreation['create']>[1] = {}, project = 'default'): Promise<void> {
    const operation = await this.get(InstanceCreation).create(this.ctx(project), { name, source: { type: 'none' }, ...body }, null, null);
    await settled(operation);
  }

  async instance(name: string, project = 'default'): Promise<Instance> {
    const service = this.get(InstancesService);
    return service.api(await service.get(project, name, anyTree));
  }

  /** As after `kill -9`, for a successor on the same host. */
  async stop(): Promise<void> {
    await this.server.close(0);
    await this.app.close();
  }

  async close(): Promise<void> {
    await this.stop();
    this.host.remove();
  }

  /** A pool `default` and a root disk on it in the default profile. */
  async preparePool(): Promise<void> {
    const pools = this.get(PoolsService);
    await pools.mountAll();
    if (pools.list().length > 0) return;
    await pools.create(this.ctx(), { name: 'default', driver: 'btrfs', description: '', config: {} });
    await this.transactions.run(this.ctx(), (tx) =>
      tx.sql.run(`UPDATE profiles SET devices = '{"root":{"path":"/","pool":"default","type":"disk"}}' WHERE name = 'default' AND project_id = 1`));
  }
}

/** Waits for an operation and throws its error. */
export async function settled(handle: OperationHandle): Promise<Awaited<ReturnType<OperationHandle['wait']>>> {
  const operation = await handle.wait();
  if (operation.status !== 'Success') throw new TypeError(operation.err);
  return operation;
}
