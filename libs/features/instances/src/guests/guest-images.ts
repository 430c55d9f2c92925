import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { internalContext, Logger, notFound } from '#kernel';
import { describeError, StreamApiResponse } from '#platform/http';
import { ImageExports, ImagesService } from '#features/images';
import type { ExpandedInstance } from '../data/instance.catalog.js';

/** Images for guests that run containers of their own: those of their project that are public or cached. */
@Injectable()
export class GuestImages {
  constructor(
    private readonly images: ImagesService,
    private readonly exports: ImageExports,
    private readonly logger: Logger,
  ) {}

  /** The image, or an error as the REST API words it. */
  async send({ row }: ExpandedInstance, fingerprint: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const abort = new AbortController();
    response.once('close', () => abort.abort());
    const ctx = { ...internalContext(abort.signal, row.project), trusted: false };
    try {
      const image = this.images.see(ctx, fingerprint, ({ cached }) => cached);
      const answer = await this.exports.download(ctx, image, undefined, request.headers.range);
      if (!(answer instanceof StreamApiResponse)) throw notFound('Image not found');
      const { options, body } = answer;
      response.writeHead(options.status ?? 200, {
        ...options.headers, 'Content-Type': options.contentType ?? 'application/octet-stream', ...(options.size === undefined ? {} : { 'Content-Length': options.size }),
      });
      if (typeof body === 'string' || Buffer.isBuffer(body) || request.method === 'HEAD') {
        if (typeof body !== 'string' && !Buffer.isBuffer(body)) body.destroy();
        response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : undefined);
      } else await pipeline(body, response);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      const { status, body } = describeError(error, this.logger, request.url ?? '');
      response.writeHead(status, { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff', 'Content-Length': Buffer.byteLength(body) }).end(body);
    }
  }
}
