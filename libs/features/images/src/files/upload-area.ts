import { createHash, type Hash } from 'node:crypto';
import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { Logger, messageOf, newUuid, StateDirectory } from '#kernel';

/** Files of one image, not yet taken over by the image store. */
export interface StagedImage {
  readonly metaPath: string;
  /** Empty for a unified image. */
  readonly rootfsPath: string;
  /** SHA-256 over the files in this order, hex. */
  readonly fingerprint: string;
  readonly sizeBytes: number;
}

const prefix = 'image-';
/** Chunks are collected up to this much and written in one call while the next ones arrive. */
const batchBytes = 1024 * 1024;

/**
 * The daemon's part of `uploads/`: where image files arrive. Whatever lies there when the daemon starts was left by a crash, for
 * nothing refers to a file before it has been taken over.
 */
@Injectable()
export class UploadArea {
  constructor(private readonly state: StateDirectory, private readonly logger: Logger) {}

  /** Makes the directory and removes what a former process left. */
  async prepare(): Promise<void> {
    await mkdir(this.state.uploads, { recursive: true, mode: 0o750 });
    const left = (await readdir(this.state.uploads)).filter((name) => name.startsWith(prefix));
    if (left.length > 0) this.logger.info('Removing unfinished uploads', { files: left.length });
    await this.discard(...left.map((name) => `${this.state.uploads}/${name}`));
  }

  newPath(): string {
    return `${this.state.uploads}/${prefix}${newUuid()}`;
  }

  /** Removes staged files; those taken over are gone already, which is fine. */
  async discard(...paths: string[]): Promise<void> {
    for (const path of paths.filter((p) => p !== '')) {
      await rm(path, { force: true }).catch((error: unknown) => this.logger.warn('Failed to remove an upload', { path, err: messageOf(error) }));
    }
  }

  /** Writes a new file of its own name. */
  async create(hash: Hash = createHash('sha256')): Promise<StagingFile> {
    await mkdir(this.state.uploads, { recursive: true, mode: 0o750 });
    const path = this.newPath();
    return new StagingFile(path, await open(path, 'wx', 0o640), hash);
  }
}

/** One file being received: bytes are hashed and written in the order they come, hashing overlapping with writing. */
export class StagingFile {
  sizeBytes = 0;
  private batch: Buffer[] = [];
  private batched = 0;
  private writing: Promise<unknown> = Promise.resolve();

  constructor(readonly path: string, private readonly handle: FileHandle, private readonly hash: Hash) {}

  /** Takes the stream to its end; its chunks are empty afterwards. May be called again, for a transfer that was continued. */
  async receive(stream: Readable, onBytes: (count: number) => void = () => undefined): Promise<void> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      this.hash.update(chunk);
      this.sizeBytes += chunk.length;
      this.batch.push(chunk);
      this.batched += chunk.length;
      if (this.batched >= batchBytes) await this.writeBatch();
      onBytes(chunk.length);
    }
    await this.writeBatch();
    await this.writing;
  }

  /** Call in every case, also after a failure. */
  async close(): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.handle.close();
  }

  /** One write is under way at a time; this waits for the one before, which is the backpressure. */
  private async writeBatch(): Promise<void> {
    if (this.batched === 0) return;
    const chunks = this.batch;
    const bytes = this.batched;
    this.batch = [];
    this.batched = 0;
    await this.writing;
    this.writing = this.writeAll(chunks, bytes);
    // The failure is seen at the next turn; without this the process would take it for unhandled.
    this.writing.catch(() => undefined);
  }

  private async writeAll(chunks: Buffer[], bytes: number): Promise<void> {
    const { bytesWritten } = await this.handle.writev(chunks);
    if (bytesWritten !== bytes) {
      const rest = Buffer.concat(chunks).subarray(bytesWritten);
      await this.handle.writeFile(rest);
    }
    for (const chunk of chunks) release(chunk);
  }
}

/**
 * Gives a chunk's memory back at once. Left to the garbage collector, chunks of a fast upload make it run through the whole heap several
 * times a second, a third of the processor time of an upload. A chunk that shares its memory with others is left alone.
 */
function release(chunk: Buffer): void {
  if (chunk.byteLength === chunk.buffer.byteLength && chunk.buffer instanceof ArrayBuffer) chunk.buffer.transfer(0);
}
