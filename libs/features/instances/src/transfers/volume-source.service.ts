import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { conflict, internalContext, notFound } from '#kernel';
import { Peers, type PeerCaller } from '#ports';
import { Database } from '#platform/database';
import { OperationsService } from '#platform/operations';
import { carriedFormats, SnapshotVolumes, VolumesService, VolumeCarrier, type CarrierOffer } from '#features/storage';
import { FrozenSource } from '../copies/frozen-source.js';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore, type MemberState } from '../data/member-volatile.store.js';
import { InstanceLocks } from '../instance-locks.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceConflictKey } from '../instance-urls.js';
import { handleChecked } from '../members/checked-handlers.js';
import { PowerStates } from '../power-states.js';
import { noLiveMigration } from '../rules/criu.rules.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SavedStates } from '../saved-states/saved-states.service.js';

const offerRequest = z.object({ id: z.int(), known: z.array(z.string()).default([]) });
const sendRequest = z.object({
  id: z.int(), snapshot: z.string(), snapshots: z.array(z.string()), format: z.enum(carriedFormats), bases: z.array(z.string()).default([]),
  fence: z.string().nullable(), stateless: z.boolean().default(false), inconsistent: z.boolean().default(false),
});

/** What the member of an instance says of it before it sends its volume. */
export interface VolumeOffer extends CarrierOffer {
  /** What is not in the rows: how ids lie in the files among it. */
  readonly local: MemberState;
}

export type SendInstanceVolume = z.infer<typeof sendRequest>;

/** Where CRIU is installed, what runs can be moved, but a copy that goes on beside it is nothing LXC can make. */
const noLiveCopy = 'Unable to perform container live migration. A running instance can be moved to another member, not copied';

/**
 * Gives this member's volumes to others, as streams; keeps nothing. A volume that is to leave for good (`fence`: the id of the operation that moves it) is
 * sent only while that operation is seen here too, under a lock: from then on the instance is not started here before the operation's end is
 * seen as well, whatever becomes of the connection (hazards B1).
 */
@Injectable()
export class VolumeSource {
  constructor(
    private readonly peers: Peers,
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
    private readonly snapshots: InstanceSnapshots,
    private readonly streams: VolumeCarrier,
    private readonly states: PowerStates,
    private readonly locks: InstanceLocks,
    private readonly saved: SavedStates,
    private readonly volumeSnapshots: SnapshotVolumes,
    private readonly frozen: FrozenSource,
  ) {}

  register(): void {
    handleChecked(this.peers, 'instances.offer-volume', offerRequest, ({ id, known }) => this.offer(id, known));
    this.peers.handleStream('instances.send-volume', async (request: unknown, stream: Duplex, caller: PeerCaller) => this.send(sendRequest.parse(request), stream, caller.signal));
  }

  async offer(id: number, known: readonly string[]): Promise<VolumeOffer> {
    await this.database.barrier(internalContext());
    const instance = this.local(id);
    return { ...(await this.streams.offer(this.volumes.volumeSpec(this.specs.volumeKey(instance)), known)), local: this.member.get(id) };
  }

  private async send(request: SendInstanceVolume, stream: Duplex, signal: AbortSignal): Promise<void> {
    // A connection that is lost when all was sent already concerns nobody here; before that, whoever writes hears of it.
    stream.on('error', () => undefined);
    await this.database.barrier(internalContext(signal));
    const instance = this.local(request.id);
    if (request.fence !== null && this.operations.holder(instanceConflictKey(instance.row))?.id !== request.fence) throw conflict('The operation that moves the instance is over');
    const lock = this.locks.acquire(instance.row.id, 'migrate');
    try {
      await this.states.ready();
      const running = request.snapshot === '' && this.states.isRunning(hostName(instance.row));
      if (running && (!request.stateless || request.fence !== null)) throw conflict((await this.saved.isAvailable()) ? noLiveCopy : `${noLiveMigration} on the source server`);
      const send = (): Promise<void> => this.sendVolume(instance, request, stream, signal);
      await (running && (await this.holdsStill(instance, request)) ? this.frozen.lent(instance, send) : send());
    } finally {
      lock.release();
    }
  }

  /** What is copied file by file would be of many moments. One that is frozen already stays so. */
  private async holdsStill(instance: ExpandedInstance, { inconsistent }: SendInstanceVolume): Promise<boolean> {
    return !inconsistent && this.states.get(hostName(instance.row)).power === 'Running' && this.volumeSnapshots.freezesToCopy(this.specs.volumeKey(instance).pool);
  }

  private async sendVolume(instance: ExpandedInstance, { snapshot, snapshots, format, bases, inconsistent }: SendInstanceVolume, stream: Duplex, signal: AbortSignal): Promise<void> {
    const history = this.snapshots.list(instance).map(({ name }) => name);
    const volume = this.volumes.volumeSpec(this.specs.volumeKey(instance));
    await this.streams.send({ volume, snapshots, sourceSnapshot: snapshot, format, bases, history, inconsistent }, stream, signal);
  }

  private local(id: number): ExpandedInstance {
    const instance = this.catalog.findById(id);
    if (instance === undefined) throw notFound('Instance not found');
    if (!this.catalog.isLocal(instance)) throw conflict(`Instance "${instance.row.name}" is on cluster member "${instance.row.location}"`);
    return instance;
  }
}
