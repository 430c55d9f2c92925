import { Injectable } from '@nestjs/common';
import { AppError, LocalMember, Logger, messageOf, type RequestContext } from '#kernel';
import { ImageStore, Peers } from '#ports';
import { Database } from '#platform/database';
import { ServerConfig } from '#features/server';
import { ImagesRepository } from './data/images.repository.js';
import { ImageExchange } from './image-exchange.service.js';
import { ImageLibrary } from './image-library.js';
import { choosePullers, type ReplicaMember } from './rules/replicas.rules.js';

/** What this member does so that `cluster.images_minimal_replica` members hold each image, and none holds one that is no more. */
@Injectable()
export class ImageReplicas {
  constructor(
    private readonly database: Database,
    private readonly images: ImagesRepository,
    private readonly library: ImageLibrary,
    private readonly exchange: ImageExchange,
    private readonly store: ImageStore,
    private readonly config: ServerConfig,
    private readonly peers: Peers,
    private readonly member: LocalMember,
    private readonly logger: Logger,
  ) {}

  /** Whether work that one member does for all is this one's: that of the lowest number among those that are there. */
  isResponsible(): boolean {
    return this.peers.others().every(({ id }) => id > this.member.id || !this.peers.isOnline(id));
  }

  /** Every image is tried; the first failure is thrown in the end, for the run to count as failed. */
  async settle(ctx: RequestContext): Promise<void> {
    if (!this.member.clustered) return;
    await this.library.removeOrphans(ctx);
    const failures: unknown[] = [];
    for (const fingerprint of this.wanted()) {
      if (ctx.signal.aborted) return;
      try {
        await this.exchange.ensureHere(ctx, fingerprint);
      } catch (error) {
        if (AppError.is(error, 'not-found')) continue;
        this.logger.warn('Failed to fetch a copy of an image', { fingerprint, err: messageOf(error) });
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** This member leaves: its copies go, rows and files elsewhere stay. */
  async clearHost(): Promise<void> {
    for (const fingerprint of await this.store.listImages()) await this.store.removeImage(fingerprint);
  }

  /** Fingerprints this member is to fetch. */
  private wanted(): string[] {
    const replicas = this.config.int('cluster.images_minimal_replica');
    const members: ReplicaMember[] = this.images.memberIds(this.database.read).map((id) => ({ id, online: this.peers.isOnline(id) }));
    return [...this.images.holdersByFingerprint(this.database.read)]
      .filter(([, holders]) => choosePullers(members, holders, replicas).includes(this.member.id)).map(([fingerprint]) => fingerprint);
  }
}
