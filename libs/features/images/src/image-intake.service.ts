import { Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { ImageAlias } from '#api-types';
import { conflict, internal, type RequestContext } from '#kernel';
import { Database } from '#platform/database';
import { ServerConfig } from '#features/server';
import { ProjectsService } from '#features/projects';
import { ImageAliasesRepository } from './data/image-aliases.repository.js';
import { ImagesRepository, type ImageRow, type ImageType } from './data/images.repository.js';
import { ImageReceiver } from './files/image-receiver.js';
import { ImageLibrary } from './image-library.js';
import { parseImageMetadata } from './rules/image-metadata.rules.js';
import { Progress } from './remote/progress.js';

export interface PublishedImage {
  readonly type: ImageType;
  readonly filename: string;
  readonly public: boolean;
  /** Null: the profile `default`. */
  readonly profiles: readonly string[] | null;
  /** `metadata.yaml`, as it stands in the image. */
  readonly metadata: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly aliases: readonly ImageAlias[];
}

export interface IntakeWatch {
  /** A line of progress: `Image pack: 12.00MB (20.00MB/s)`. */
  progress(text: string): void;
}

/** Takes images that are made here. What is staged has no row yet, and goes with the failure or with the process. */
@Injectable()
export class ImageIntake {
  constructor(
    private readonly database: Database,
    private readonly images: ImagesRepository,
    private readonly aliases: ImageAliasesRepository,
    private readonly library: ImageLibrary,
    private readonly receiver: ImageReceiver,
    private readonly config: ServerConfig,
    private readonly projects: ProjectsService,
  ) {}

  /** What new images of a project are compressed by. */
  compression(project: string): string {
    return this.projects.get(project).config['images.compression_algorithm'] || this.config.get('images.compression_algorithm') || 'gzip';
  }

  /** Architecture, creation and properties as `metadata.yaml` has them. @throws `invalid` in LXD's words. */
  readonly parseMetadata = parseImageMetadata;

  /** @throws `conflict` in LXD's words when the alias is taken. */
  refuseAlias(project: string, name: string): void {
    const owner = this.images.imageProject(this.database.read, project);
    if (this.aliases.find(this.database.read, owner.id, name) !== undefined) throw conflict(`Alias already exists: ${name}`);
  }

  /**
   * Stores a unified image that comes as a stream; `whole` resolves when the sender knows that all of it was sent, and only then the image is there.
   * @throws `conflict` when the project has it, or an alias is taken.
   */
  async take(ctx: RequestContext, project: string, stream: Readable, whole: Promise<void>, image: PublishedImage, watch: IntakeWatch): Promise<ImageRow> {
    const progress = new Progress(watch.progress, 'Image pack', 0);
    const [received, sent] = await Promise.allSettled([this.receiver.receiveUnified(stream, progress.add), whole]);
    try {
      if (sent.status === 'rejected') throw sent.reason as Error;
      if (received.status === 'rejected') throw received.reason as Error;
      const staged = received.value;
      if (staged.sizeBytes === 0) throw internal('The image came empty');
      const { architecture, properties } = parseImageMetadata(image.metadata);
      const owner = this.images.imageProject(this.database.read, project);
      const { metadata, aliases, ...rest } = image;
      void metadata;
      if (this.images.find(this.database.read, owner.id, staged.fingerprint) !== undefined) throw conflict(`The image already exists: ${staged.fingerprint}`);
      return await this.library.add(ctx, {
        projectId: owner.id, project: owner.name, staged, aliases,
        image: { ...rest, architecture, properties, fingerprint: staged.fingerprint, sizeBytes: staged.sizeBytes, autoUpdate: false, cached: false, source: null },
      });
    } finally {
      if (received.status === 'fulfilled') await this.library.discard(received.value);
    }
  }
}
