import { Injectable } from '@nestjs/common';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { ImageExportPost } from '#api-types';
import { ApiClient } from '#client';
import { AppError, internal, internalContext, notFound, randomHex, StateDirectory, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { fileResponse, FileStream, streamResponse, type ApiResponse, type BodyPart } from '#platform/http';
import { ImageExchange } from './image-exchange.service.js';
import { ImageLibrary } from './image-library.js';
import { ImageTokens } from './image-tokens.service.js';
import type { ImageRow } from './data/images.repository.js';
import { ImageServers, userAgent } from './remote/image-servers.js';
import { Progress } from './remote/progress.js';
import { fileEnding, magicBytes } from './rules/file-kind.rules.js';

interface ImageFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly ending: string;
}

/** Sends images out: to clients that ask, or to another server. */
@Injectable()
export class ImageExports {
  constructor(
    private readonly library: ImageLibrary,
    private readonly exchange: ImageExchange,
    private readonly tokens: ImageTokens,
    private readonly servers: ImageServers,
    private readonly operations: OperationsService,
    private readonly state: StateDirectory,
  ) {}

  /** A unified image as the file it is, with ranges; a split one as multipart. `image` is one the caller may see. */
  async download(ctx: RequestContext, image: ImageRow, secret: string | undefined, range: string | undefined): Promise<ApiResponse> {
    await this.exchange.ensureHere(ctx, image.fingerprint);
    const meta = await this.file(image, '');
    const rootfs = await this.file(image, '.rootfs').catch((error: unknown) => {
      if (AppError.is(error, 'not-found')) return null;
      throw error;
    });
    if (!ctx.trusted && secret !== undefined) this.tokens.use(ctx, secret);
    this.library.announce(ctx, 'image-retrieved', image);
    return rootfs === null ? unified(image, meta, range) : split(image, meta, rootfs);
  }

  /** Pushes an image to the server that gave `request.secret`. The connection is made first, so that a wrong address is refused at once. */
  async push(ctx: RequestContext, image: ImageRow, request: ImageExportPost): Promise<OperationHandle> {
    const client = new ApiClient(
      { url: request.target, certificate: request.certificate, proxy: this.servers.proxy }, { userAgent, project: request.project });
    try {
      await client.get('/1.0', { signal: ctx.signal, idleTimeoutMs: 30_000 });
    } catch (error) {
      client.close();
      // LXD answers 500 here, whatever the reason.
      throw internal(error instanceof Error ? error.message : String(error), { cause: error });
    }
    return this.operations.runInMemory(ctx, {
      kind: 'image.push', class: 'task', description: 'Downloading image', resources: {},
      run: async (operation) => {
        try {
          await this.exchange.ensureHere({ ...internalContext(operation.signal), requestor: ctx.requestor }, image.fingerprint);
          const body = await this.pushBody(image, (text) => operation.update({ upload_progress: text }));
          const profiles = (request.profiles ?? []).map((name) => `profile=${encodeURIComponent(name)}`).join('&');
          await client.post('/1.0/images', body.stream, {
            signal: operation.signal,
            headers: {
              'content-type': body.contentType, 'content-length': String(body.sizeBytes), 'X-LXD-secret': request.secret,
              'X-LXD-fingerprint': image.fingerprint, 'X-LXD-filename': image.filename, 'X-LXD-public': String(image.public),
              ...(profiles === '' ? {} : { 'X-LXD-profiles': profiles }),
            },
          });
        } finally {
          client.close();
        }
      },
    });
  }

  private async pushBody(image: ImageRow, report: (text: string) => void): Promise<{ stream: Readable; contentType: string; sizeBytes: number }> {
    const meta = await this.file(image, '');
    const rootfs = await this.file(image, '.rootfs').catch(() => null);
    const progress = new Progress(report, '', image.sizeBytes);
    const body = rootfs === null
      ? { stream: new FileStream([whole(meta)]), contentType: 'application/octet-stream', sizeBytes: meta.sizeBytes }
      : multipart(image, meta, rootfs);
    body.stream.on('data', (chunk: Buffer) => progress.add(chunk.length));
    // Counting makes it flow; it starts when the request takes it.
    body.stream.pause();
    return body;
  }

  /** A few calls that take microseconds, where a thread of the pool would take longer to wake up. */
  private async file(image: ImageRow, suffix: string): Promise<ImageFile> {
    const path = `${this.state.images}/${image.fingerprint}${suffix}`;
    let fd: number | undefined;
    try {
      fd = openSync(path, 'r');
      const { size, mtime } = fstatSync(fd);
      const head = Buffer.alloc(magicBytes);
      const bytesRead = readSync(fd, head, 0, magicBytes, 0);
      return { path, sizeBytes: size, modifiedAt: mtime, ending: fileEnding(head.subarray(0, bytesRead)) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw notFound('Image files are not on this server');
      throw internal(`Failed to read image "${image.fingerprint}"`, { cause: error });
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

function unified(image: ImageRow, file: ImageFile, rangeHeader: string | undefined): ApiResponse {
  return fileResponse({ ...file, filename: `${image.fingerprint}${file.ending}` }, rangeHeader);
}

function whole({ path, sizeBytes }: ImageFile): BodyPart {
  return { path, first: 0, bytes: sizeBytes };
}

function split(image: ImageRow, meta: ImageFile, rootfs: ImageFile): ApiResponse {
  const body = multipart(image, meta, rootfs);
  return streamResponse(body.stream, { contentType: body.contentType, size: body.sizeBytes });
}

/** Both files as a multipart body of known length. */
function multipart(image: ImageRow, meta: ImageFile, rootfs: ImageFile): { stream: Readable; contentType: string; sizeBytes: number } {
  const boundary = randomHex(30);
  const field = image.type === 'virtual-machine' ? 'rootfs.img' : 'rootfs';
  const head = (first: boolean, name: string, filename: string): Buffer => Buffer.from(
    `${first ? '' : '\r\n'}--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n`);
  const parts: BodyPart[] = [
    head(true, 'metadata', `meta-${image.fingerprint}${meta.ending}`), whole(meta),
    head(false, field, `${image.fingerprint}${rootfs.ending}`), whole(rootfs),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ];
  const sizeBytes = parts.reduce((sum, part) => sum + (Buffer.isBuffer(part) ? part.length : part.bytes), 0);
  return { stream: new FileStream(parts), contentType: `multipart/form-data; boundary=${boundary}`, sizeBytes };
}
