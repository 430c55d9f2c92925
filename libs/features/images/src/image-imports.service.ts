import { Injectable } from '@nestjs/common';
import type { IncomingHttpHeaders } from 'node:http';
import { readFile, stat } from 'node:fs/promises';
import { imagesPost, zeroTime, type ImageAlias, type ImagesPost, type ImagesPostSource } from '#api-types';
import { AppError, conflict, forbidden, internal, invalid, notFound, randomHex, type RequestContext } from '#kernel';
import { ImageStore } from '#ports';
import { Database, TransactionRunner } from '#platform/database';
import { validateBody, type OperationSource, type RawRequestBody } from '#platform/http';
import { OperationsService, type OperationHandle, type RunningOperation } from '#platform/operations';
import { ImageAliasesRepository } from './data/image-aliases.repository.js';
import { ImagesRepository, type ImageRow } from './data/images.repository.js';
import { ImageReceiver, type ReceivedImage } from './files/image-receiver.js';
import { ImageDownloads } from './image-downloads.service.js';
import { ImageLibrary } from './image-library.js';
import { ImagePublishers } from './image-publishers.registry.js';
import { ImageTokens, type PushGrant } from './image-tokens.service.js';
import { parseImageMetadata } from './rules/image-metadata.rules.js';
import { parseTime } from './rules/image-wire.rules.js';
import { uploadOptions, type UploadOptions } from './rules/upload-headers.rules.js';

/** A body this small whose first byte is `{` is looked at as JSON, whatever its content type says, as LXD does. */
const maxRequestBytes = 1024 * 1024;

type Received = { readonly image: ReceivedImage } | { readonly failure: unknown };

/** `POST /1.0/images` in all its forms. Whatever is wrong with an upload is the operation's failure, not the request's, as in LXD. */
@Injectable()
export class ImageImports {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly images: ImagesRepository,
    private readonly aliases: ImageAliasesRepository,
    private readonly library: ImageLibrary,
    private readonly receiver: ImageReceiver,
    private readonly store: ImageStore,
    private readonly downloads: ImageDownloads,
    private readonly tokens: ImageTokens,
    private readonly publishers: ImagePublishers,
    private readonly operations: OperationsService,
  ) {}

  async post(ctx: RequestContext, body: RawRequestBody, headers: IncomingHttpHeaders): Promise<OperationSource> {
    const secret = textOf(headers['x-lxd-secret']);
    const grant = this.tokens.grantOf(secret);
    if (!ctx.trusted && grant === undefined) throw forbidden('not authorized');
    const project = grant?.project ?? ctx.project;
    this.requireProject(project);
    const type = body.contentType.split(';')[0]!.trim().toLowerCase();
    if (type === 'application/json') {
      const request = await validateBody<ImagesPost>(imagesPost, await body.json());
      parseTime(request.expires_at);
      return this.fromRequest(ctx, request);
    }
    const received = await this.receive(body, type);
    const request = 'image' in received && ctx.trusted ? await this.hiddenRequest(received.image) : undefined;
    if (request !== undefined) return this.fromRequest(ctx, request);
    if (grant !== undefined) this.tokens.use(ctx, secret);
    return this.importing(ctx, project, received, uploadOptions(headers), grant);
  }

  private requireProject(project: string): void {
    try {
      this.images.imageProject(this.database.read, project);
    } catch (error) {
      throw AppError.is(error, 'not-found') ? notFound('Fetch project database object: Project not found') : error;
    }
  }

  private async receive(body: RawRequestBody, type: string): Promise<Received> {
    try {
      const image = type === 'multipart/form-data'
        ? await this.receiver.receiveSplit(body.stream, body.contentType)
        : await this.receiver.receiveUnified(body.stream);
      return { image };
    } catch (failure) {
      return { failure };
    }
  }

  /** A JSON request sent under another content type; its file is removed. */
  private async hiddenRequest(image: ReceivedImage): Promise<ImagesPost | undefined> {
    if (image.rootfsPath !== '' || image.sizeBytes > maxRequestBytes || (await stat(image.metaPath)).size === 0) return undefined;
    const text = await readFile(image.metaPath, 'utf8');
    if (!text.trimStart().startsWith('{')) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return undefined;
    }
    await this.library.discard(image);
    return validateBody<ImagesPost>(imagesPost, value);
  }

  private importing(ctx: RequestContext, project: string, received: Received, options: UploadOptions, grant: PushGrant | undefined): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, {
      kind: 'image.download', class: 'task', description: 'Downloading image', resources: {},
      // A sender that is not trusted waits for the operation with a secret of its own.
      metadata: ctx.trusted ? {} : { secret: randomHex(32) },
      run: async (operation) => {
        if ('failure' in received) throw received.failure;
        try {
          await this.importStaged(ctx, project, received.image, options, grant, operation);
        } finally {
          await this.library.discard(received.image);
        }
      },
    });
  }

  private async importStaged(
    ctx: RequestContext, project: string, staged: ReceivedImage, options: UploadOptions, grant: PushGrant | undefined, operation: RunningOperation,
  ): Promise<void> {
    if (staged.sizeBytes === 0) throw invalid('EOF');
    const { fingerprint } = staged;
    if (options.fingerprint !== '' && options.fingerprint !== fingerprint) {
      throw invalid(`fingerprints don't match, got ${fingerprint} expected ${options.fingerprint}`);
    }
    const inspection = await this.store.inspectImage(staged.metaPath, staged.rootfsPath);
    const metadata = parseImageMetadata(inspection.metadataYaml);
    operation.update({ fingerprint, size: String(staged.sizeBytes) });
    const owner = this.images.imageProject(this.database.read, project);
    await this.library.add(ctx, {
      projectId: owner.id, project: owner.name, staged, aliases: grant?.aliases ?? [],
      image: {
        ...metadata, fingerprint, type: staged.declaredType ?? inspection.type, filename: options.filename || staged.filename, sizeBytes: staged.sizeBytes,
        public: grant?.public ?? options.public, autoUpdate: false, cached: false, profiles: options.profiles, source: null,
        properties: grant?.properties ?? { ...metadata.properties, ...options.properties },
        expiresAt: grant !== undefined && grant.expiresAt !== zeroTime ? grant.expiresAt : metadata.expiresAt,
      },
    });
  }

  private async fromRequest(ctx: RequestContext, request: ImagesPost): Promise<OperationSource> {
    const { source } = request;
    if (source === null) throw internal('Invalid images JSON');
    const expiresAt = parseTime(request.expires_at);
    // A client that will push says nothing else of the source.
    if (source.mode === 'push') return this.awaitPush(ctx, request, source, expiresAt);
    switch (source.type) {
      case 'image':
      case 'url':
        return this.pulling(ctx, request, source);
      case 'instance':
      case 'container':
      case 'virtual-machine':
      case 'snapshot':
        return this.publishers.publish(ctx, request, source);
      default:
        throw internal('Invalid images JSON');
    }
  }

  private awaitPush(ctx: RequestContext, request: ImagesPost, source: ImagesPostSource, expiresAt: string): Promise<OperationHandle> {
    return this.tokens.forUpload(ctx, source.fingerprint, {
      project: ctx.project, aliases: request.aliases, expiresAt, properties: request.properties, public: request.public,
    });
  }

  private pulling(ctx: RequestContext, request: ImagesPost, source: ImagesPostSource): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, {
      kind: 'image.download', class: 'task', description: 'Downloading image', resources: {},
      run: async (operation) => {
        const image = await this.pull(ctx, request, source, operation);
        return { fingerprint: image.fingerprint, size: String(image.sizeBytes) };
      },
    });
  }

  private async pull(ctx: RequestContext, request: ImagesPost, source: ImagesPostSource, operation: RunningOperation): Promise<ImageRow> {
    if (source.type === 'url' && source.url === '') throw invalid('Missing URL');
    if (source.type === 'image' && source.alias === '' && source.fingerprint === '') throw invalid('must specify one of alias or fingerprint for init from image');
    const from = source.type === 'url' ? { server: source.url, protocol: 'direct' } : source;
    const image = await this.downloads.ensure(
      ctx, ctx.project, from, { signal: operation.signal, progress: (metadata) => operation.update(metadata) },
      { cached: false, autoUpdate: request.auto_update, profiles: request.profiles });
    return this.applyRequest(ctx, image, request);
  }

  /** What the request says of the image beyond where it comes from. */
  private applyRequest(ctx: RequestContext, image: ImageRow, request: ImagesPost): Promise<ImageRow> {
    const changed = request.public || request.auto_update || request.filename !== '' || Object.keys(request.properties ?? {}).length > 0 || request.profiles !== null;
    return this.transactions.run(ctx, (tx) => {
      const row = this.images.findById(tx.sql, image.id);
      if (row === undefined) throw conflict('Image was deleted while it was being added');
      if (changed) {
        this.images.update(tx, row, {
          filename: request.filename, public: request.public, autoUpdate: request.auto_update,
          properties: { ...row.properties, ...request.properties }, ...(request.profiles === null ? {} : { profiles: request.profiles }),
        });
      }
      for (const alias of request.aliases ?? []) this.addAlias(tx, row, alias);
      return this.images.findById(tx.sql, row.id)!;
    });
  }

  private addAlias(tx: Parameters<Parameters<TransactionRunner['run']>[1]>[0], row: ImageRow, alias: ImageAlias): void {
    if (this.aliases.find(tx.sql, row.projectId, alias.name) !== undefined) throw conflict(`Alias already exists: ${alias.name}`);
    this.aliases.insert(tx, row.projectId, { ...alias, imageId: row.id });
  }
}

function textOf(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

