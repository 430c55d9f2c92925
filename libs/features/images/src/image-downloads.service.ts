import { Injectable } from '@nestjs/common';
import type { ImageAlias, ImageSource } from '#api-types';
import { AppError, internal, invalid, type RequestContext } from '#kernel';
import { ImageStore } from '#ports';
import { Database, TransactionRunner } from '#platform/database';
import { ServerConfig } from '#features/server';
import { ImagesRepository, type ImageChanges, type ImageRow, type NewImage } from './data/images.repository.js';
import type { ReceivedImage } from './files/image-receiver.js';
import { SharedDownloads, type Download } from './files/shared-downloads.js';
import { UploadArea } from './files/upload-area.js';
import { ImageLibrary } from './image-library.js';
import type { ImageServer, RemoteImage } from './remote/image-server.js';
import { ImageServers } from './remote/image-servers.js';
import { parseImageMetadata } from './rules/image-metadata.rules.js';

/** Which image of which server. One of `alias` and `fingerprint` is needed. */
export interface RemoteImageSource {
  /** Example: `https://cloud-images.ubuntu.com/releases` */
  readonly server: string;
  /** `lxd` (also when empty), `simplestreams` or `direct`. */
  readonly protocol?: string;
  readonly alias?: string;
  readonly fingerprint?: string;
  readonly certificate?: string;
  /** Of a private image on an LXD server. */
  readonly secret?: string;
  /** Project on an LXD server. */
  readonly project?: string;
  /** `container` or `virtual-machine`; empty: any. */
  readonly image_type?: string;
}

export interface EnsureOptions {
  /** What the row is made with; the defaults are those of an image fetched for an instance. */
  readonly cached?: boolean;
  readonly autoUpdate?: boolean;
  readonly profiles?: readonly string[] | null;
  readonly aliases?: readonly ImageAlias[];
  /** Takes the image already here for that alias, even if the server has a newer one by now; the updater brings that. */
  readonly preferCached?: boolean;
}

/** Where progress goes and what ends the wait; `RunningOperation` and `StepContext` both give them. */
export interface DownloadWatch {
  readonly signal: AbortSignal;
  /** `{ download_progress: 'rootfs: 45% (3.20MB/s)' }` */
  progress(metadata: Record<string, unknown>): void;
}

interface LentServer {
  readonly server: ImageServer;
  byDownload: boolean;
}

/** Brings images from other servers into the store. Whoever asks for the same image at the same time shares one download. */
@Injectable()
export class ImageDownloads {
  private readonly downloads = new SharedDownloads<ReceivedImage>();

  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly images: ImagesRepository,
    private readonly library: ImageLibrary,
    private readonly servers: ImageServers,
    private readonly store: ImageStore,
    private readonly area: UploadArea,
    private readonly config: ServerConfig,
  ) {}

  async ensure(ctx: RequestContext, project: string, source: RemoteImageSource, watch: DownloadWatch, options: EnsureOptions = {}): Promise<ImageRow> {
    const name = source.fingerprint || source.alias || '';
    if (name === '' && source.protocol !== 'direct') throw invalid('must specify one of alias or fingerprint for init from image');
    const owner = this.images.imageProject(this.database.read, project);
    const known = options.preferCached === true ? this.findKnown(owner.id, source) : undefined;
    if (known !== undefined) return known;
    const server = this.servers.open({
      server: source.server, protocol: source.protocol ?? '', certificate: source.certificate ?? '', secret: source.secret ?? '', project: source.project ?? '',
    });
    const lent = { server, byDownload: false };
    try {
      const remote = await server.find(name, source.image_type ?? '', watch.signal);
      return await this.bring(ctx, owner, lent, remote, recordedSource(source, remote), watch, options);
    } finally {
      if (!lent.byDownload) server.close();
    }
  }

  /** The image that instances get without asking the server, because the updater keeps it current. */
  private findKnown(projectId: number, source: RemoteImageSource): ImageRow | undefined {
    if (this.config.int('images.auto_update_interval') <= 0) return undefined;
    return this.images.findBySource(this.database.read, projectId, sourceKey(source), '');
  }

  private async bring(
    ctx: RequestContext, owner: { id: number; name: string }, lent: LentServer, remote: RemoteImage, recorded: ImageSource | null,
    watch: DownloadWatch, options: EnsureOptions,
  ): Promise<ImageRow> {
    const here = this.images.find(this.database.read, owner.id, remote.fingerprint);
    if (here !== undefined) return this.refreshKnown(ctx, here, recorded, options);
    const add = (image: NewImage, staged: ReceivedImage | null): Promise<ImageRow> => this.library.add(ctx, {
      projectId: owner.id, project: owner.name, image, staged, aliases: options.aliases ?? [],
    });
    const defaults = {
      public: false, cached: options.cached ?? true, autoUpdate: recorded !== null && (options.autoUpdate ?? this.config.bool('images.auto_update_cached')),
      profiles: options.profiles ?? null, source: recorded,
    };
    const elsewhere = this.images.findAnywhere(this.database.read, remote.fingerprint);
    if (elsewhere !== undefined) return this.joining(owner.id, remote, () => add({ ...elsewhere, ...defaults }, null));
    const report = (text: string): void => watch.progress({ download_progress: text });
    return this.downloads.with(remote.fingerprint, () => this.download(lent, remote), report, watch.signal, async (staged) => {
      const image = { ...(await this.describe(remote, staged)), ...defaults };
      return this.joining(owner.id, remote, () => add(image, staged));
    });
  }

  /** Two requests of one project that shared a download: the second finds the first one's row. */
  private async joining(projectId: number, remote: RemoteImage, add: () => Promise<ImageRow>): Promise<ImageRow> {
    try {
      return await add();
    } catch (error) {
      const row = AppError.is(error, 'conflict') ? this.images.find(this.database.read, projectId, remote.fingerprint) : undefined;
      if (row === undefined) throw error;
      return row;
    }
  }

  /** Who starts a download leaves its server to it, for others may wait for it longer. */
  private download(lent: LentServer, remote: RemoteImage): Download<ReceivedImage> {
    lent.byDownload = true;
    return {
      run: (tell, signal) => this.fetch(lent.server, remote, tell, signal),
      end: async (staged) => {
        lent.server.close();
        if (staged !== undefined) await this.library.discard(staged);
      },
    };
  }

  private async fetch(server: ImageServer, remote: RemoteImage, tell: (text: string) => void, signal: AbortSignal): Promise<ReceivedImage> {
    const staged = await server.fetch(remote, tell, signal);
    if (staged.fingerprint === remote.fingerprint) return staged;
    await this.area.discard(staged.metaPath, staged.rootfsPath);
    throw internal(`Image fingerprint doesn't match. Got ${staged.fingerprint} expected ${remote.fingerprint}`);
  }

  /** A server that knows nothing but the hash (a plain web server) leaves it to `metadata.yaml`. */
  private async describe(remote: RemoteImage, staged: ReceivedImage): Promise<Omit<NewImage, 'public' | 'cached' | 'autoUpdate' | 'profiles' | 'source'>> {
    const base = { fingerprint: remote.fingerprint, filename: remote.filename, sizeBytes: staged.sizeBytes };
    if (remote.architecture !== '') {
      const { type, architecture, createdAt, expiresAt, properties } = remote;
      return { ...base, type, architecture, createdAt, expiresAt, properties };
    }
    const inspection = await this.store.inspectImage(staged.metaPath, staged.rootfsPath);
    return { ...base, type: inspection.type, ...parseImageMetadata(inspection.metadataYaml) };
  }

  /** An image asked for again by name is remembered as such: from now on it is updated, and no longer a mere cache if it was asked for as an image. */
  private async refreshKnown(ctx: RequestContext, here: ImageRow, recorded: ImageSource | null, options: EnsureOptions): Promise<ImageRow> {
    const changes: ImageChanges = {
      ...(here.cached && options.cached === false ? { cached: false } : {}),
      ...(here.source === null && recorded !== null && here.cached ? { source: recorded } : {}),
    };
    if (Object.keys(changes).length === 0) return here;
    return this.transactions.run(ctx, (tx) => {
      const row = this.images.findById(tx.sql, here.id);
      if (row === undefined) throw internal('Image was deleted meanwhile');
      this.images.update(tx, row, changes);
      return this.images.findById(tx.sql, here.id)!;
    });
  }
}

function sourceKey(source: RemoteImageSource): ImageSource {
  return {
    alias: source.fingerprint || source.alias || '', certificate: source.certificate ?? '', protocol: source.protocol || 'lxd', server: source.server, image_type: source.image_type ?? '',
  };
}

/** An image asked for by alias is updated from there; one asked for by fingerprint never changes. Stock clients send aliases as fingerprints too. */
function recordedSource(source: RemoteImageSource, remote: RemoteImage): ImageSource | null {
  const key = sourceKey(source);
  return key.alias === '' || remote.fingerprint.startsWith(key.alias) ? null : { ...key, image_type: '' };
}
