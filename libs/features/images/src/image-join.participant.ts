import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Database } from '#platform/database';
import { JoinParticipants, type JoinParticipant } from '#features/cluster';
import { ImagesRepository } from './data/images.repository.js';
import { ImageLibrary } from './image-library.js';
import { ImageReplicas } from './image-replicas.service.js';

/** A server that joins gives up its images; as a member it fetches those of the cluster when they are wanted. One that leaves clears its store. */
@Injectable()
export class ImageJoin implements JoinParticipant {
  readonly name = 'images';
  readonly order = 30;

  constructor(
    private readonly database: Database,
    private readonly images: ImagesRepository,
    private readonly library: ImageLibrary,
    private readonly replicas: ImageReplicas,
    participants: JoinParticipants,
  ) {
    participants.register(this);
  }

  async clear(ctx: RequestContext): Promise<void> {
    for (const image of this.images.listAll(this.database.read)) await this.library.remove(ctx, image);
  }

  async join(): Promise<void> {
    // Copies come by themselves once the rows are here.
  }

  leave(): Promise<void> {
    return this.replicas.clearHost();
  }
}
