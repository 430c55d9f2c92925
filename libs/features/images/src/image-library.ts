import { Injectable } from '@nestjs/common';
import type { ImageAlias } from '#api-types';
import { conflict, KeyedMutex, LocalMember, Logger, messageOf, notFound, type RequestContext } from '#kernel';
import { ImageStore } from '#ports';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl } from '#platform/http';
import { VolumesService } from '#features/storage';
import { ImageAliasesRepository } from './data/image-aliases.repository.js';
import { ImagesRepository, type ImageRow, type NewImage } from './data/images.repository.js';
import { UploadArea, type StagedImage } from './files/upload-area.js';

export interface AddImage {
  /** The project it is stored in: `imageProject` of the one that was asked for. */
  readonly projectId: number;
  readonly project: string;
  readonly image: NewImage;
  /** Null when the files are in the store already, for another project's row. */
  readonly staged: StagedImage | null;
  readonly aliases: readonly ImageAlias[];
}

/**
 * Keeps rows and files of images together. A row is written only after its files are in the store, and files go only after the last row
 * of that fingerprint, so at any moment of a crash there may be files without a row, never a row without files; `removeOrphans` settles
 * the former. All of it happens under a lock per fingerprint, since projects share files.
 *
 * Rows are the cluster's, files this member's: each member that holds an image is named by it, and removes its files when the row is gone.
 */
@Injectable()
export class ImageLibrary {
  private readonly locks = new KeyedMutex();

  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly images: ImagesRepository,
    private readonly aliases: ImageAliasesRepository,
    private readonly store: ImageStore,
    private readonly volumes: VolumesService,
    private readonly area: UploadArea,
    private readonly events: EventBus,
    private readonly member: LocalMember,
    private readonly logger: Logger,
  ) {}

  /** `conflict` when the project has it, or an alias is taken; `invalid` for an unknown profile. */
  async add(ctx: RequestContext, request: AddImage): Promise<ImageRow> {
    const { fingerprint } = request.image;
    return this.locks.run(fingerprint, async () => {
      this.refuseKnown(request);
      if (request.staged !== null) await this.store.adoptImage(fingerprint, request.staged.metaPath, request.staged.rootfsPath);
      try {
        return await this.transactions.run(ctx, (tx) => this.insert(ctx, tx, request));
      } catch (error) {
        await this.removeFilesIfUnused(ctx, fingerprint);
        throw error;
      }
    });
  }

  /** Whether rows say that this member has the files. */
  hasFiles(fingerprint: string): boolean {
    return this.images.holders(this.database.read, fingerprint).includes(this.member.id);
  }

  /** Takes over the files of an image that other members have. `not-found` when it was deleted meanwhile. */
  async adoptCopy(ctx: RequestContext, staged: StagedImage): Promise<void> {
    const { fingerprint } = staged;
    await this.locks.run(fingerprint, async () => {
      if (this.hasFiles(fingerprint)) return;
      await this.store.adoptImage(fingerprint, staged.metaPath, staged.rootfsPath);
      try {
        await this.transactions.run(ctx, (tx) => {
          if (this.images.findAnywhere(tx.sql, fingerprint) === undefined) throw notFound('Image not found');
          this.images.addHolder(tx, fingerprint, this.member.id);
        });
      } catch (error) {
        await this.removeFilesIfUnused(ctx, fingerprint);
        throw error;
      }
    });
  }

  /** Row first, then unpacked copies, then files: those are what a restart finds and finishes with. Absent is success. */
  async remove(ctx: RequestContext, image: ImageRow): Promise<void> {
    await this.locks.run(image.fingerprint, async () => {
      await this.transactions.run(ctx, (tx) => {
        if (this.images.findById(tx.sql, image.id) === undefined) return;
        this.images.delete(tx, image.id);
        tx.afterCommit(() => this.announce(ctx, 'image-deleted', image));
      });
      await this.removeFilesIfUnused(ctx, image.fingerprint);
    });
  }

  /** `next` takes the place of `image`: aliases move, then the old one goes. Harmless when that has happened. */
  async succeed(ctx: RequestContext, image: ImageRow, next: ImageRow): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      if (this.images.findById(tx.sql, image.id) !== undefined) this.aliases.moveAll(tx, image.id, next.id);
    });
    await this.remove(ctx, image);
  }

  /** Removes files no row speaks of, and notes those of images that are here without a row saying so. */
  async removeOrphans(ctx: RequestContext): Promise<void> {
    for (const fingerprint of (await this.store.listImages()).filter((one) => !this.hasFiles(one))) {
      if (ctx.signal.aborted) return;
      await this.locks.run(fingerprint, () => this.settleOrphan(ctx, fingerprint));
    }
  }

  /** Removes staged files that were not taken over. */
  async discard(staged: StagedImage): Promise<void> {
    await this.area.discard(staged.metaPath, staged.rootfsPath);
  }

  announce(ctx: RequestContext, action: string, image: { fingerprint: string; project: string }, context?: Record<string, unknown>): void {
    this.events.lifecycle({
      action, source: apiUrl(['1.0', 'images', image.fingerprint], image.project), project: image.project, requestor: ctx.requestor, context,
    });
  }

  private refuseKnown({ projectId, image }: AddImage): void {
    if (this.images.find(this.database.read, projectId, image.fingerprint) !== undefined) throw conflict('Image with same fingerprint already exists');
  }

  private insert(ctx: RequestContext, tx: Tx, request: AddImage): ImageRow {
    const { projectId, project, image, aliases } = request;
    if (this.images.find(tx.sql, projectId, image.fingerprint) !== undefined) throw conflict('Image with same fingerprint already exists');
    const id = this.images.insert(tx, projectId, image);
    if (request.staged !== null) this.images.addHolder(tx, image.fingerprint, this.member.id);
    for (const alias of aliases) this.aliases.insert(tx, projectId, { ...alias, imageId: id });
    tx.afterCommit(() => this.announce(ctx, 'image-created', { fingerprint: image.fingerprint, project }, { type: image.type }));
    return this.images.findById(tx.sql, id)!;
  }

  private async settleOrphan(ctx: RequestContext, fingerprint: string): Promise<void> {
    if (this.images.findAnywhere(this.database.read, fingerprint) === undefined) {
      this.logger.info('Removing files of an image that is no more', { fingerprint });
      await this.removeFilesIfUnused(ctx, fingerprint);
    } else if (!this.hasFiles(fingerprint)) await this.transactions.run(ctx, (tx) => this.images.addHolder(tx, fingerprint, this.member.id));
  }

  private async removeFilesIfUnused(ctx: RequestContext, fingerprint: string): Promise<void> {
    if (this.images.findAnywhere(this.database.read, fingerprint) !== undefined) return;
    try {
      await this.volumes.removeImageVolumes(ctx, fingerprint);
      await this.store.removeImage(fingerprint);
    } catch (error) {
      this.logger.warn('Failed to remove files of an image; the next start tries again', { fingerprint, err: messageOf(error) });
      throw error;
    }
  }
}
