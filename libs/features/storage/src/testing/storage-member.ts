import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Global, Module, type INestApplication, type Type } from '@nestjs/common';
import type { StorageVolumesPost } from '#api-types';
import { Clock, internalContext, LocalMember, Logger, SilentLogger, StateDirectory, SystemClock, type RequestContext } from '#kernel';
import { HostInfo, MemberLiveness, Peers, ServerDirectories, StorageDriver, VolumeArchives, VolumeMigration, VolumeSnapshots, VolumeTransfer } from '#ports';
import { FakePeers } from '#ports/testing';
import { FakeFaults, FakeHostInfo, FakeServerDirectories, FakeStorageDriver, FakeVolumeArchives, FakeVolumeMigration, FakeVolumeSnapshots, FakeVolumeTransfer, type FakeVolume } from '#drivers/fake';
import { AuthModule } from '#platform/auth';
import { ChangeFeed, Database, DatabaseModule, TransactionRunner } from '#platform/database';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type HttpServer } from '#platform/http';
import { OperationsModule, OperationsService, type OperationDefinition, type OperationHandle, type Step, type StepClass } from '#platform/operations';
import type { OperationHarness } from '#platform/operations/testing';
import { ReconcileModule } from '#platform/reconcile';
import { ServerModule } from '#features/server';
import { CustomVolumes } from '../custom/custom-volumes.service.js';
import { PoolsService } from '../pools.service.js';
import { StorageModule } from '../storage.module.js';

/** Nobody else. */
class Alone extends MemberLiveness {
  override isOnline(id: number): boolean { return id === 1; }
  override lastSeenMs(): null { return null; }
  override leaderId(): null { return null; }
  override onChange(): () => void { return () => {}; }
}

/** Storage and what it stands on, wired as in the daemon, on a fake host with the pools `p1` (btrfs) and `d1` (dir). */
export class StorageMember {
  /** `action source` of every lifecycle event. */
  readonly seen: string[] = [];

  private constructor(
    readonly host: FakeStorageDriver,
    readonly faults: FakeFaults,
    private readonly root: string,
    private readonly app: INestApplication,
    private readonly server: HttpServer,
  ) {}

  static async start(): Promise<StorageMember> {
    const root = mkdtempSync(join(tmpdir(), 'roost-storage-'));
    const state = new StateDirectory(root);
    for (const directory of [state.database, state.uploads, state.backups]) mkdirSync(directory, { recursive: true });
    const faults = new FakeFaults();
    const host = new FakeStorageDriver(faults, { root });
    const transfers = new FakeVolumeTransfer(host, faults);
    const providers = [
      { provide: MemberLiveness, useClass: Alone }, { provide: Peers, useValue: new FakePeers() }, { provide: StateDirectory, useValue: state },
      { provide: LocalMember, useValue: new LocalMember() }, { provide: Logger, useClass: SilentLogger }, { provide: Clock, useClass: SystemClock },
      { provide: StorageDriver, useValue: host }, { provide: VolumeSnapshots, useValue: new FakeVolumeSnapshots(host, faults) },
      { provide: VolumeMigration, useValue: new FakeVolumeMigration(host, faults) },
      { provide: VolumeTransfer, useValue: transfers }, { provide: VolumeArchives, useValue: new FakeVolumeArchives(host, transfers, faults) },
      { provide: ServerDirectories, useValue: new FakeServerDirectories(host, faults) }, { provide: HostInfo, useValue: new FakeHostInfo(faults) },
    ];
    @Global()
    @Module({ providers, exports: providers.map((provider) => provider.provide) })
    class HostModule {}
    const database = DatabaseModule.forRoot({ directory: state.database, synchronous: 'OFF', ballast: { bytes: 0 } });
    @Module({
      imports: [
        HostModule, database, AuthModule.forRoot({ directory: state }), EventBusModule, OperationsModule.forRoot({ undoRetryDelaysMs: [1], progressIntervalMs: 0 }),
        ReconcileModule, HttpModule, ServerModule, StorageModule,
      ],
    })
    class MemberModule {}
    const { app, server } = await createApiApp(MemberModule);
    const member = new StorageMember(host, faults, root, app, server);
    member.get(EventBus).subscribe({ types: ['lifecycle'], project: null }, (json) => {
      const { metadata } = JSON.parse(json) as { metadata: { action: string; source: string } };
      member.seen.push(`${metadata.action} ${metadata.source}`);
    });
    await member.get(OperationsService).recover();
    for (const [name, driver] of [['p1', 'btrfs'], ['d1', 'dir']] as const) await member.get(PoolsService).create(member.ctx(), { name, driver, description: '', config: {} });
    member.seen.length = 0;
    return member;
  }

  get<T>(type: Type<T> | (abstract new (...args: never[]) => T)): T {
    return this.app.get(type as Type<T>, { strict: false });
  }

  get transactions(): TransactionRunner { return this.get(TransactionRunner); }
  get database(): Database { return this.get(Database); }

  ctx(project = 'default'): RequestContext {
    return { ...internalContext(undefined, project), requestor: { username: 'root', protocol: 'unix', address: '@' } };
  }

  /** What the generated tests of an operation need of this member. */
  harness<P>(definition: OperationDefinition<P>, rest: Pick<OperationHarness<P>, 'params' | 'reserve' | 'delegates' | 'assertDone' | 'assertClean'>): OperationHarness<P> {
    const steps = definition.steps.map((type: StepClass<P>) => this.get(type as unknown as abstract new () => Step<P, unknown>));
    return { steps, transactions: this.transactions, database: this.database, feed: this.get(ChangeFeed), close: () => this.close(), ...rest };
  }

  async close(): Promise<void> {
    await this.server.close(0);
    await this.app.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** An empty volume `v1`, unless told otherwise. */
export async function makeVolume(member: StorageMember, more: Partial<StorageVolumesPost> = {}, pool = 'p1', project = 'default'): Promise<void> {
  const request = { name: 'v1', type: 'custom', content_type: '', description: '', ...more };
  member.get(CustomVolumes).checkRequest(pool, request);
  member.get(CustomVolumes).refuseTaken(pool, project, request.name);
  await member.get(CustomVolumes).create(member.ctx(), pool, project, request);
}

/** What the host has of a custom volume of the default project. */
export function volumeOf(member: StorageMember, name = 'v1', pool = 'p1'): FakeVolume | undefined {
  return member.host.pools.get(pool)?.volumes.get(`custom/default_${name}`);
}

/** Waits for an operation and throws its error. */
export async function succeeded(scheduled: Promise<OperationHandle>): Promise<void> {
  const { status, err } = await (await scheduled).wait();
  if (status !== 'Success') throw new TypeError(err);
}
