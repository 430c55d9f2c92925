import { Injectable } from '@nestjs/common';
import { zeroTime, type Image, type ImagePatch, type ImagePut } from '#api-types';
import { invalid, notFound, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { checkEtag, filterList } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ImageAliasesRepository } from './data/image-aliases.repository.js';
import { ImagesRepository, type ImageRow } from './data/images.repository.js';
import { ImageDownloads, type DownloadWatch, type EnsureOptions, type RemoteImageSource } from './image-downloads.service.js';
import { ImageExchange } from './image-exchange.service.js';
import { ImageLibrary } from './image-library.js';
import { imageApi, imageEtag, parseTime } from './rules/image-wire.rules.js';

export type { ImageRow };

/** How a request names an image that is here; exactly one is used, in this order. */
export interface LocalImageReference {
  /** Whole, or its beginning. */
  readonly fingerprint?: string;
  readonly alias?: string;
  /** The newest image with all of these. */
  readonly properties?: Readonly<Record<string, string>> | null;
}

/**
 * Images of this server: what other features and the API read and change of them. Projects without images of their own
 * (`features.images=false`) use those of `default` everywhere.
 */
@Injectable()
export class ImagesService {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly images: ImagesRepository,
    private readonly aliases: ImageAliasesRepository,
    private readonly library: ImageLibrary,
    private readonly downloads: ImageDownloads,
    private readonly exchange: ImageExchange,
    private readonly operations: OperationsService,
  ) {}

  /** The local image a request means. `not-found` or `invalid` in LXD's words. Pass a transaction's `sql` where a decision rests on it. */
  resolve(_ctx: RequestContext, project: string, reference: LocalImageReference, sql: Sql = this.database.read): ImageRow {
    const owner = this.images.imageProject(sql, project);
    if (reference.fingerprint) return this.images.byPrefix(sql, owner.id, reference.fingerprint);
    if (reference.alias) {
      const alias = this.aliases.find(sql, owner.id, reference.alias);
      if (alias === undefined) throw notFound('Image alias not found');
      return this.images.findById(sql, alias.imageId)!;
    }
    const wanted = Object.entries(reference.properties ?? {});
    if (wanted.length === 0) throw invalid('Must specify one of alias, fingerprint or properties for init from image');
    const matches = this.images.listByProject(sql, owner.id).filter((image) => wanted.every(([key, value]) => image.properties[key] === value));
    const newest = matches.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt))[0];
    if (newest === undefined) throw notFound('No matching image could be found');
    return newest;
  }

  /**
   * Makes sure an image of another server is here and returns its row; safe to repeat. By default it becomes a cached image, kept up to
   * date if `images.auto_update_cached` says so, and one that is here already for that alias is taken as it is. The project is `ctx`'s.
   */
  ensureFromRemote(ctx: RequestContext, source: RemoteImageSource, watch: DownloadWatch, options: EnsureOptions = {}): Promise<ImageRow> {
    return this.downloads.ensure(ctx, ctx.project, source, watch, { preferCached: true, ...options });
  }

  /** Makes sure this member holds the files of an image, fetching them from another; safe to repeat. `unavailable` when no reachable member has them. */
  ensureLocalFiles(ctx: RequestContext, fingerprint: string): Promise<void> {
    return this.exchange.ensureHere(ctx, fingerprint);
  }

  /** An instance was made from it. */
  touch(tx: Tx, imageId: number): void {
    this.images.setLastUsed(tx, imageId);
  }

  list(ctx: RequestContext, project: string, filter: string | undefined): Image[] {
    const owner = this.images.imageProject(this.database.read, project);
    const aliases = this.images.aliasesByImage(this.database.read, owner.id);
    const rows = this.images.listByProject(this.database.read, owner.id).filter((row) => ctx.trusted || row.public);
    return filterList(filter, rows.map((row) => imageApi(row, aliases.get(row.id) ?? [])));
  }

  listFingerprints(ctx: RequestContext, project: string, filter: string | undefined): string[] {
    if (filter !== undefined && filter !== '') return this.list(ctx, project, filter).map((image) => image.fingerprint);
    const owner = this.images.imageProject(this.database.read, project);
    return this.images.fingerprintsByProject(this.database.read, owner.id, !ctx.trusted);
  }

  /**
   * One image for a client. Who is not trusted sees public ones, and one whose secret `opens`; the beginning of a fingerprint finds
   * public ones only.
   */
  see(ctx: RequestContext, prefix: string, opens: (image: ImageRow) => boolean): ImageRow {
    const owner = this.images.imageProject(this.database.read, ctx.project);
    const image = this.images.byPrefix(this.database.read, owner.id, prefix);
    if (ctx.trusted || image.public || opens(image)) return image;
    throw notFound(`Image "${image.fingerprint}" not found`);
  }

  api(image: ImageRow): Image {
    return imageApi(image, this.images.aliasesOf(this.database.read, image.id));
  }

  etag(image: ImageRow): unknown {
    return imageEtag(image);
  }

  async replace(ctx: RequestContext, prefix: string, put: ImagePut, ifMatch: string | undefined): Promise<void> {
    const expiresAt = parseTime(put.expires_at);
    await this.change(ctx, prefix, ifMatch, (tx, row) => this.images.update(tx, row, {
      autoUpdate: put.auto_update, public: put.public, properties: put.properties ?? {},
      ...(expiresAt === zeroTime ? {} : { expiresAt }), ...(put.profiles === null ? {} : { profiles: put.profiles }),
    }));
  }

  async amend(ctx: RequestContext, prefix: string, patch: ImagePatch, ifMatch: string | undefined): Promise<void> {
    parseTime(patch.expires_at);
    await this.change(ctx, prefix, ifMatch, (tx, row) => this.images.update(tx, row, {
      autoUpdate: patch.auto_update ?? row.autoUpdate, public: patch.public ?? row.public, properties: { ...row.properties, ...patch.properties },
    }));
  }

  async delete(ctx: RequestContext, prefix: string): Promise<OperationHandle> {
    const owner = this.images.imageProject(this.database.read, ctx.project);
    const image = this.images.byPrefix(this.database.read, owner.id, prefix);
    return this.operations.runInMemory(ctx, {
      kind: 'image.delete', class: 'task', description: 'Deleting image', resources: { images: [`/1.0/images/${image.fingerprint}`] },
      run: async () => {
        if (this.images.findById(this.database.read, image.id) === undefined) throw notFound('Image not found');
        await this.library.remove(ctx, image);
      },
    });
  }

  private async change(ctx: RequestContext, prefix: string, ifMatch: string | undefined, write: (tx: Tx, row: ImageRow) => void): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.images.byPrefix(tx.sql, this.images.imageProject(tx.sql, ctx.project).id, prefix);
      checkEtag(ifMatch, imageEtag(row));
      write(tx, row);
      tx.afterCommit(() => this.library.announce(ctx, 'image-updated', row));
    });
  }
}

