import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { imagesPost, zeroTime, type ImagesPost, type ImagesPostSource, type Operation } from '#api-types';
import { compressorOf } from '#config-schema';
import { AppError, conflict, internalContext, invalid, LocalMember, messageOf, notFound, type RequestContext } from '#kernel';
import { Peers, VolumeArchives, VolumeTransfer, type PackImageRequest, type PeerCaller } from '#ports';
import { Database } from '#platform/database';
import type { OperationSource } from '#platform/http';
import { OperationsService, type OperationHandle, type RunningOperation } from '#platform/operations';
import { ImageIntake, ImagePublishers } from '#features/images';
import { VolumesService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { openReader, ownEndpoint } from '#platform/agent-client';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName } from '../instance-urls.js';
import { handleChecked } from '../members/checked-handlers.js';
import { PowerStates } from '../power-states.js';
import { idmapFromText } from '../rules/idmap.rules.js';
import { creationDate, publishedMetadata } from '../rules/image-metadata.rules.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';

const publishRequest = z.object({ project: z.string(), body: imagesPost });

/** As the client knows it. */
const progressKey = 'create_image_from_container_pack_progress';

interface Published {
  readonly instance: ExpandedInstance;
  /** Empty for the instance itself. */
  readonly snapshot: string;
}

/**
 * `POST /1.0/images` from an instance or a snapshot, by the member that has it. The image's files are staged and appear with its row, so neither a failure nor a crash
 * leaves anything.
 */
@Injectable()
export class InstancePublishing {
  constructor(
    private readonly peers: Peers,
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly publishers: ImagePublishers,
    private readonly intake: ImageIntake,
    private readonly catalog: InstanceCatalog,
    private readonly snapshots: InstanceSnapshots,
    private readonly specs: InstanceSpecs,
    private readonly neighbors: InstanceNeighbors,
    private readonly volumes: VolumesService,
    private readonly archives: VolumeArchives,
    private readonly transfers: VolumeTransfer,
    private readonly states: PowerStates,
    private readonly self: LocalMember,
  ) {}

  register(): void {
    this.publishers.register((ctx, request, source) => this.publish(ctx, request, source));
    handleChecked(this.peers, 'instances.publish', publishRequest, (request, caller) => this.publishHere(request, caller));
  }

  async publish(ctx: RequestContext, request: ImagesPost, source: ImagesPostSource): Promise<OperationSource> {
    this.checkProject(ctx.project);
    compressorOf(request.compression_algorithm || 'none');
    const memberId = source.name === '' ? this.self.id : this.memberOf(ctx.project, source.name);
    if (memberId === this.self.id) return this.schedule(ctx, request, source);
    const { operation } = await this.peers.call<{ operation: Operation }>(memberId, 'instances.publish', { project: ctx.project, body: request }, { requestor: ctx.requestor, timeoutMs: 60_000 });
    return { id: operation.id, api: () => operation };
  }

  private async publishHere({ project, body }: z.infer<typeof publishRequest>, caller: PeerCaller): Promise<{ operation: Operation }> {
    const ctx = { ...internalContext(undefined, project), requestor: caller.requestor };
    await this.database.barrier(ctx);
    if (body.source === null) throw invalid('Invalid images JSON');
    return { operation: (await this.schedule(ctx, body, body.source)).api() };
  }

  private async schedule(ctx: RequestContext, request: ImagesPost, source: ImagesPostSource): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, {
      kind: 'image.publish', class: 'task', description: 'Downloading image', resources: {},
      run: (operation) => this.make(ctx, request, this.resolve(ctx.project, source), operation),
    });
  }

  private async make(asked: RequestContext, request: ImagesPost, { instance, snapshot }: Published, operation: RunningOperation): Promise<Record<string, unknown>> {
    // The request that asked is answered long before the image is there.
    const ctx = { ...internalContext(operation.signal, asked.project), requestor: asked.requestor };
    await this.states.ready();
    const refuseRunning = (): void => {
      if (snapshot === '' && this.states.isRunning(hostName(instance.row))) throw conflict('Cannot export a running instance as an image');
    };
    refuseRunning();
    const pack = await this.packRequest(ctx.project, request, instance, snapshot);
    const image = await this.stream(ctx, request, instance, pack, refuseRunning, operation);
    return { [progressKey]: undefined, fingerprint: image.fingerprint, size: String(image.sizeBytes) };
  }

  private async packRequest(project: string, request: ImagesPost, instance: ExpandedInstance, snapshot: string): Promise<PackImageRequest> {
    const volume = this.volumes.volumeSpec(this.specs.volumeKey(instance));
    const expires = request.expires_at === zeroTime ? 0 : Math.trunc(Date.parse(request.expires_at) / 1000);
    const now = Math.trunc(new Date().getTime() / 1000);
    const metadata = publishedMetadata(await this.archives.readVolumeFile(volume, snapshot, 'metadata.yaml'), {
      architecture: instance.row.architecture, now, expiresAt: expires, properties: request.properties,
    });
    const config = snapshot === '' ? this.catalog.fullConfig(instance) : this.snapshots.get(instance, snapshot).config;
    return {
      volume, snapshot, metadata, modifiedAt: creationDate(metadata) || now, idmap: idmapFromText(config['volatile.last_state.idmap']),
      compression: request.compression_algorithm || this.intake.compression(project), ...ownEndpoint,
    };
  }

  private async stream(ctx: RequestContext, request: ImagesPost, instance: ExpandedInstance, pack: PackImageRequest, refuseRunning: () => void, operation: RunningOperation) {
    // Before minutes of work, and again when its row is written.
    for (const { name } of request.aliases ?? []) this.intake.refuseAlias(ctx.project, name);
    const { sessionId, path } = await this.archives.packImage(pack);
    const reader = await openReader(path);
    // One that was started while its files were read is no image of anything.
    const sent = this.transfers.waitTransfer(sessionId, operation.signal).then(refuseRunning);
    return this.intake.take(ctx, ctx.project, reader, sent, {
      type: instance.row.type, filename: request.filename, public: request.public, profiles: request.profiles, metadata: pack.metadata,
      createdAt: new Date().toISOString(), expiresAt: request.expires_at, aliases: request.aliases ?? [],
    }, { progress: (text) => operation.update({ [progressKey]: text }) });
  }

  /** What a source names, in LXD's words for what it must not. */
  private resolve(project: string, { type, name }: ImagesPostSource): Published {
    if (name === '') throw invalid('No source provided');
    const [instanceName = '', snapshot] = name.split('/', 2);
    if (type === 'snapshot' && snapshot === undefined) throw invalid('Not a snapshot');
    if (type !== 'snapshot' && snapshot !== undefined) throw invalid('This is a snapshot');
    const instance = this.catalog.find(project, instanceName);
    if (instance === undefined) throw notFound('Instance not found');
    if (snapshot !== undefined) this.requireSnapshot(instance, snapshot);
    return { instance, snapshot: snapshot ?? '' };
  }

  private memberOf(project: string, name: string): number {
    const [instanceName = '', snapshot] = name.split('/', 2);
    const instance = this.catalog.find(project, instanceName);
    if (instance === undefined) throw notFound('Instance not found');
    if (snapshot !== undefined) this.requireSnapshot(instance, snapshot);
    return instance.row.memberId;
  }

  private requireSnapshot(instance: ExpandedInstance, snapshot: string): void {
    try {
      this.snapshots.get(instance, snapshot);
    } catch (error) {
      throw AppError.is(error, 'not-found') ? notFound('Instance not found') : error;
    }
  }

  private checkProject(project: string): void {
    try {
      this.neighbors.projectId(project);
    } catch (error) {
      throw AppError.is(error, 'not-found') ? notFound(`Fetch project database object: ${messageOf(error)}`) : error;
    }
  }
}
