import { Busboy } from '@fastify/busboy';
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { invalid } from '#kernel';
import { UploadArea, type StagedImage, type StagingFile } from './upload-area.js';

/** An image as it came, with the names its sender gave. */
export interface ReceivedImage extends StagedImage {
  /** Name of the root's file in a split image; empty if none was given. */
  readonly filename: string;
  /** What the sender's field says a split image is; null for a unified one, whose contents tell. */
  readonly declaredType: 'container' | 'virtual-machine' | null;
}

/** Puts the body of a request or an answer into staged files. A failure leaves no file behind. */
@Injectable()
export class ImageReceiver {
  constructor(private readonly area: UploadArea) {}

  /** One file: a unified image. */
  async receiveUnified(stream: Readable, onBytes?: (count: number) => void): Promise<ReceivedImage> {
    const hash = createHash('sha256');
    const file = await this.area.create(hash);
    try {
      await file.receive(stream, onBytes);
    } catch (error) {
      await file.close();
      await this.area.discard(file.path);
      throw error;
    }
    await file.close();
    return { metaPath: file.path, rootfsPath: '', fingerprint: hash.digest('hex'), sizeBytes: file.sizeBytes, filename: '', declaredType: null };
  }

  /** A multipart body of `metadata` and then `rootfs`, or `rootfs.img` for a virtual machine. Wording of refusals is LXD's. */
  async receiveSplit(stream: Readable, contentType: string, onBytes?: (count: number) => void): Promise<ReceivedImage> {
    if (!/boundary=/i.test(contentType)) throw invalid('multipart: boundary is empty');
    const parts = new SplitParts(this.area, onBytes);
    try {
      const parser = new Busboy({ headers: { 'content-type': contentType }, isPartAFile: () => true, fileHwm: 1024 * 1024, highWaterMark: 1024 * 1024 });
      parser.on('file', (name, part, filename) => parts.begin(name, part, filename ?? ''));
      await pipeline(stream, parser);
      return await parts.finish();
    } catch (error) {
      await parts.abandon();
      throw parts.failure ?? (error instanceof Error && /Unexpected end/.test(error.message) ? invalid('unexpected EOF') : error);
    }
  }
}

/** The two files of a split image, which come one after the other. */
class SplitParts {
  failure: unknown;
  private readonly hash = createHash('sha256');
  private readonly files: StagingFile[] = [];
  private work: Promise<void> = Promise.resolve();
  private filename = '';
  private rootField = '';
  private count = 0;

  constructor(private readonly area: UploadArea, private readonly onBytes: ((count: number) => void) | undefined) {}

  begin(name: string, part: Readable, filename: string): void {
    const index = this.count++;
    part.on('error', () => undefined);
    this.work = this.work.then(() => this.take(index, name, part, filename)).catch((error: unknown) => {
      this.failure ??= error;
      // Read on to the end, so that the client gets its answer.
      part.resume();
    });
  }

  async finish(): Promise<ReceivedImage> {
    await this.work;
    if (this.failure !== undefined) throw this.failure;
    const [meta, rootfs] = this.files;
    if (meta === undefined || rootfs === undefined) throw invalid('EOF');
    await Promise.all(this.files.map((file) => file.close()));
    return {
      metaPath: meta.path, rootfsPath: rootfs.path, fingerprint: this.hash.digest('hex'), sizeBytes: meta.sizeBytes + rootfs.sizeBytes,
      filename: this.filename, declaredType: this.rootField === 'rootfs.img' ? 'virtual-machine' : 'container',
    };
  }

  async abandon(): Promise<void> {
    await this.work;
    for (const file of this.files) await file.close().catch(() => undefined);
    await this.area.discard(...this.files.map((file) => file.path));
  }

  private async take(index: number, name: string, part: Readable, filename: string): Promise<void> {
    if (this.failure !== undefined || index > 1) {
      part.resume();
      return;
    }
    const expected = index === 0 ? ['metadata'] : ['rootfs', 'rootfs.img'];
    if (!expected.includes(name)) throw invalid('Invalid multipart image');
    if (index === 1) {
      this.filename = filename;
      this.rootField = name;
    }
    const file = await this.area.create(this.hash);
    this.files.push(file);
    await file.receive(part, this.onBytes);
  }
}
