import { Injectable } from '@nestjs/common';
import { zeroTime } from '#api-types';
import { invalid, Logger, messageOf, wrap, type Clock, type RequestContext } from '#kernel';
import { Database } from '#platform/database';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ServerConfig } from '#features/server';
import { ImagesRepository, type ImageRow } from './data/images.repository.js';
import { ImageDownloads, type DownloadWatch } from './image-downloads.service.js';
import { ImageLibrary } from './image-library.js';
import { ImageServers } from './remote/image-servers.js';

const dayMs = 24 * 3600 * 1000;

/** Keeps images current and the cache small: replaces those a server has a newer one of, removes cached ones nobody used for long. */
@Injectable()
export class ImageUpdates {
  constructor(
    private readonly database: Database,
    private readonly images: ImagesRepository,
    private readonly library: ImageLibrary,
    private readonly downloads: ImageDownloads,
    private readonly servers: ImageServers,
    private readonly operations: OperationsService,
    private readonly config: ServerConfig,
    private readonly logger: Logger,
  ) {}

  /** `POST /1.0/images/{fingerprint}/refresh` */
  async refresh(ctx: RequestContext, prefix: string): Promise<OperationHandle> {
    const owner = this.images.imageProject(this.database.read, ctx.project);
    const image = this.images.byPrefix(this.database.read, owner.id, prefix);
    return this.operations.runInMemory(ctx, {
      kind: 'image.refresh', class: 'task', description: 'Refreshing image', resources: {},
      run: async (operation) => {
        const watch = { signal: operation.signal, progress: (metadata: Record<string, unknown>) => operation.update(metadata) };
        const refreshed = await this.update(ctx, image, watch);
        if (refreshed) this.library.announce(ctx, 'image-refreshed', image);
        return { refreshed };
      },
    });
  }

  /** All images marked for it; a failure of one does not keep the others from being updated. */
  async updateAll(ctx: RequestContext): Promise<void> {
    const servers = new Set<string>();
    for (const image of this.images.listForUpdate(this.database.read)) {
      if (ctx.signal.aborted) return;
      if (image.source === null) continue;
      if (!servers.has(image.source.server)) this.servers.forgetStream(image.source.server);
      servers.add(image.source.server);
      try {
        if (await this.update(ctx, image, { signal: ctx.signal, progress: () => undefined })) {
          this.logger.info('Updated image', { fingerprint: image.fingerprint, project: image.project });
        }
      } catch (error) {
        this.logger.warn('Failed to update an image', { fingerprint: image.fingerprint, project: image.project, err: messageOf(error) });
      }
    }
  }

  /** Removes cached images that nobody used for `images.remote_cache_expiry` days, and those past their own expiry. */
  async removeExpired(ctx: RequestContext, clock: Clock): Promise<void> {
    const days = this.config.int('images.remote_cache_expiry');
    const now = clock.now().getTime();
    for (const image of this.images.listCached(this.database.read)) {
      if (ctx.signal.aborted) return;
      const used = Date.parse(image.lastUsedAt === zeroTime ? image.uploadedAt : image.lastUsedAt);
      const unused = days > 0 && now - used > days * dayMs;
      const expired = image.expiresAt !== zeroTime && Date.parse(image.expiresAt) < now && now - used > dayMs;
      if (!unused && !expired) continue;
      this.logger.info('Removing a cached image', { fingerprint: image.fingerprint, project: image.project });
      await this.library.remove(ctx, image);
    }
  }

  /** True when a newer image took its place. */
  private async update(ctx: RequestContext, image: ImageRow, watch: DownloadWatch): Promise<boolean> {
    try {
      if (image.source === null) throw invalid('Image source not found');
      const next = await this.downloads.ensure(ctx, image.project, { ...image.source, image_type: image.source.image_type || image.type }, watch, {
        cached: image.cached, autoUpdate: image.autoUpdate, profiles: image.profiles,
      });
      if (next.id === image.id) return false;
      await this.library.succeed(ctx, image, next);
      return true;
    } catch (error) {
      throw wrap(error, `Failed to update image "${image.fingerprint}" in project "${image.project}"`);
    }
  }
}
