import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { Logger, messageOf, Mutex, newUuid, StateDirectory, unavailable } from '#kernel';

const importPrefix = 'import-';
/** An upload of which nothing comes for this long is not waited for. */
const uploadPatienceMs = 10_000;
/** Chunks of a pipe are small; written together they cost less. */
const batchBytes = 1024 * 1024;

export interface BackupFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** What a client sends: whether anything still comes is up to the client. */
interface Upload {
  readonly file: WriteStream;
  readonly abort: AbortController;
}

/** Many write or remove at a time, or one moves all that is there and nobody does. */
class Writing {
  private readonly turns = new Mutex();
  private readonly ends = new Set<Promise<unknown>>();
  private readonly uploads = new Set<Upload>();

  async write<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.turns.acquire();
    const written = work();
    const ended = written.catch(() => undefined).finally(() => this.ends.delete(ended));
    this.ends.add(ended);
    release();
    return written;
  }

  move<T>(work: () => Promise<T>, stallMs: number): Promise<T> {
    return this.turns.run(async () => {
      const endStalled = this.watchUploads(stallMs);
      await Promise.all(this.ends);
      endStalled();
      return work();
    });
  }

  /** Part of what is written. @throws `unavailable` when it stalls and somebody waits to move. */
  async upload(stream: Readable, file: WriteStream): Promise<void> {
    const upload: Upload = { file, abort: new AbortController() };
    this.uploads.add(upload);
    try {
      await pipeline(stream, file, { signal: upload.abort.signal });
    } catch (error) {
      throw upload.abort.signal.aborted ? upload.abort.signal.reason : error;
    } finally {
      this.uploads.delete(upload);
    }
  }

  private watchUploads(stallMs: number): () => void {
    const written = new Map([...this.uploads].map((upload) => [upload, upload.file.bytesWritten]));
    const timer = setInterval(() => {
      for (const [upload, bytes] of written) {
        if (upload.file.bytesWritten === bytes) upload.abort.abort(unavailable('The upload has stalled, and backups are to be kept in another place'));
        written.set(upload, upload.file.bytesWritten);
      }
    }, stallMs);
    return () => clearInterval(timer);
  }
}

/** Finished archives of one kind, by the ids of their rows. What no row names was left by a crash, or by something that was deleted. */
export class BackupFolder {
  constructor(private readonly directory: string, private readonly writing: Writing, private readonly logger: Logger) {}

  /** Appears under its name once all of it is there. */
  async write(id: number, stream: Readable, whole: Promise<void>, onBytes: (count: number) => void): Promise<void> {
    // It may fail before anybody looks.
    whole.catch(() => undefined);
    await this.writing.write(() => this.writeNow(id, stream, whole, onBytes));
  }

  private async writeNow(id: number, stream: Readable, whole: Promise<void>, onBytes: (count: number) => void): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const made = `${this.path(id)}.new`;
    await rm(made, { force: true });
    stream.on('data', (chunk: Buffer) => onBytes(chunk.length));
    const results = await Promise.allSettled([pipeline(stream, createWriteStream(made, { mode: 0o600, highWaterMark: batchBytes })), whole]);
    for (const result of results.reverse()) if (result.status === 'rejected') throw result.reason as Error;
    await rename(made, this.path(id));
  }

  /** Undefined when it is not here. */
  async find(id: number): Promise<BackupFile | undefined> {
    const found = await stat(this.path(id)).catch(() => undefined);
    return found === undefined ? undefined : { path: this.path(id), sizeBytes: found.size, modifiedAt: found.mtime };
  }

  /** Absent is success. */
  async remove(id: number): Promise<void> {
    await this.writing.write(async () => {
      for (const path of [`${this.path(id)}.new`, this.path(id)]) await rm(path, { force: true });
    });
  }

  /** Files that no row names. Whoever writes one has its row already. */
  removeOrphans(known: () => readonly number[]): Promise<void> {
    return this.writing.write(() => this.removeOrphansNow(known));
  }

  private async removeOrphansNow(known: () => readonly number[]): Promise<void> {
    const files = await names(this.directory);
    if (files.length === 0) return;
    const kept = new Set(known().flatMap((id) => [String(id), `${id}.new`]));
    for (const name of files.filter((file) => !kept.has(file))) {
      this.logger.info('Removing a backup that is no more', { file: name });
      await rm(`${this.directory}/${name}`, { force: true });
    }
  }

  private path(id: number): string {
    return `${this.directory}/${id}`;
  }
}

/** The daemon's `backups/`: finished archives, and those being imported. */
@Injectable()
export class BackupFiles {
  readonly instances: BackupFolder;
  readonly custom: BackupFolder;

  private readonly writing = new Writing();
  /** Paths of imports that are this process's. */
  private readonly importing = new Set<string>();

  constructor(private readonly state: StateDirectory, private readonly logger: Logger) {
    this.instances = new BackupFolder(`${state.backups}/instances`, this.writing, logger);
    this.custom = new BackupFolder(`${state.backups}/custom`, this.writing, logger);
  }

  /** Lets who writes finish, but for uploads of which nothing comes for `stallMs`; everybody else waits until `work` is done. */
  moving<T>(work: () => Promise<T>, stallMs = uploadPatienceMs): Promise<T> {
    return this.writing.move(work, stallMs);
  }

  /** Takes an archive that is to be imported; `forget` it in any case. */
  receive(stream: Readable): Promise<string> {
    return this.writing.write(() => this.receiveNow(stream));
  }

  private async receiveNow(stream: Readable): Promise<string> {
    await mkdir(this.state.backups, { recursive: true, mode: 0o700 });
    const path = `${this.state.backups}/${importPrefix}${newUuid()}`;
    this.importing.add(path);
    try {
      await this.writing.upload(stream, createWriteStream(path, { mode: 0o600, flags: 'wx', highWaterMark: batchBytes }));
      return path;
    } catch (error) {
      await this.forgetNow(path);
      throw error;
    }
  }

  async forget(path: string): Promise<void> {
    await this.writing.write(() => this.forgetNow(path));
  }

  /** Before operations go on: no import outlives its daemon. Those of this one, which may have begun by now, stay. */
  async removeImports(): Promise<void> {
    await this.writing.write(async () => {
      const found = (await names(this.state.backups)).filter((name) => name.startsWith(importPrefix)).map((name) => `${this.state.backups}/${name}`);
      for (const path of found) if (!this.importing.has(path)) await this.forgetNow(path);
    });
  }

  private async forgetNow(path: string): Promise<void> {
    this.importing.delete(path);
    await rm(path, { force: true }).catch((error: unknown) => this.logger.warn('Failed to remove an imported archive', { path, error: messageOf(error) }));
  }
}

async function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}
