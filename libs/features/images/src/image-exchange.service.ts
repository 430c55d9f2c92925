import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AppError, internal, Logger, messageOf, notFound, StateDirectory, unavailable, type RequestContext } from '#kernel';
import { Peers } from '#ports';
import { Database } from '#platform/database';
import { ImagesRepository } from './data/images.repository.js';
import { SharedDownloads } from './files/shared-downloads.js';
import { UploadArea, type StagedImage } from './files/upload-area.js';
import { ImageLibrary } from './image-library.js';

const partRequest = z.object({ fingerprint: z.string().regex(/^[0-9a-f]{64}$/), part: z.enum(['', '.rootfs']) });
const describeRequest = partRequest.pick({ fingerprint: true });
type PartRequest = z.infer<typeof partRequest>;

/** Files of images between members: sends those that are here, fetches those that are wanted here and checks them by their fingerprint. */
@Injectable()
export class ImageExchange {
  private readonly fetches = new SharedDownloads<StagedImage>();

  constructor(
    private readonly database: Database,
    private readonly images: ImagesRepository,
    private readonly library: ImageLibrary,
    private readonly area: UploadArea,
    private readonly state: StateDirectory,
    private readonly peers: Peers,
    private readonly logger: Logger,
  ) {
    peers.handle('images.describe-files', (request) => this.describe(describeRequest.parse(request).fingerprint));
    peers.handleStream('images.fetch', (request, stream) => this.send(partRequest.parse(request), stream));
  }

  /** `not-found` for an image that is no more, `unavailable` when no member that can be reached has its files. */
  async ensureHere(ctx: RequestContext, fingerprint: string): Promise<void> {
    if (this.library.hasFiles(fingerprint)) return;
    await this.fetches.with(fingerprint, () => ({
      run: (_, signal) => this.fetch(ctx, fingerprint, signal),
      end: async (staged) => { if (staged !== undefined) await this.library.discard(staged); },
    }), () => {}, ctx.signal, (staged) => this.library.adoptCopy(ctx, staged));
  }

  private async fetch(ctx: RequestContext, fingerprint: string, signal: AbortSignal): Promise<StagedImage> {
    if (this.images.findAnywhere(this.database.read, fingerprint) === undefined) throw notFound('Image not found');
    const holders = new Set(this.images.holders(this.database.read, fingerprint));
    const peers = this.peers.others().filter(({ id }) => holders.has(id) && this.peers.isOnline(id));
    for (const { id, name } of peers) {
      try {
        return await this.fetchFrom(id, fingerprint, { ...ctx, signal });
      } catch (error) {
        signal.throwIfAborted();
        this.logger.warn('A member did not give the files of an image', { fingerprint, member: name, err: messageOf(error) });
      }
    }
    throw unavailable(`No member holds the files of image "${fingerprint}"`);
  }

  private async fetchFrom(memberId: number, fingerprint: string, { signal, requestor }: RequestContext): Promise<StagedImage> {
    const options = { signal, requestor };
    const { parts } = await this.peers.call<{ parts: PartRequest['part'][] }>(memberId, 'images.describe-files', { fingerprint }, options);
    const hash = createHash('sha256');
    const paths: string[] = [];
    let sizeBytes = 0;
    try {
      for (const part of parts) {
        const file = await this.area.create(hash);
        paths.push(file.path);
        try {
          const stream = await this.peers.openStream(memberId, 'images.fetch', { fingerprint, part }, { ...options, bulk: true });
          stream.end();
          await file.receive(stream);
        } finally {
          await file.close();
        }
        sizeBytes += file.sizeBytes;
      }
      const got = hash.digest('hex');
      if (got !== fingerprint) throw internal(`Image fingerprint doesn't match. Got ${got} expected ${fingerprint}`);
      return { metaPath: paths[0]!, rootfsPath: paths[1] ?? '', fingerprint, sizeBytes };
    } catch (error) {
      await this.area.discard(...paths);
      throw error;
    }
  }

  private async describe(fingerprint: string): Promise<{ parts: PartRequest['part'][] }> {
    const there = await Promise.all((['', '.rootfs'] as const).map(async (part) => ({ part, there: await this.exists(fingerprint, part) })));
    if (!there[0]?.there) throw notFound('Image files are not on this server');
    return { parts: there.filter((one) => one.there).map(({ part }) => part) };
  }

  private async exists(fingerprint: string, part: string): Promise<boolean> {
    try {
      await stat(this.path(fingerprint, part));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw internal(`Failed to read image "${fingerprint}"`, { cause: error });
    }
  }

  private async send({ fingerprint, part }: PartRequest, stream: Duplex): Promise<void> {
    stream.resume();
    try {
      await pipeline(createReadStream(this.path(fingerprint, part), { highWaterMark: 256 * 1024 }), stream);
    } catch (error) {
      stream.destroy(AppError.is(error) ? error : internal(`Failed to send image "${fingerprint}": ${messageOf(error)}`));
    }
  }

  private path(fingerprint: string, part: string): string {
    return `${this.state.images}/${fingerprint}${part}`;
  }
}
