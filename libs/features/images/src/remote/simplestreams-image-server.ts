import { createHash } from 'node:crypto';
import { readText } from '#client';
import type { HttpTransport } from '#client/http';
import { messageOf, notFound, unavailable, wrap } from '#kernel';
import type { ReceivedImage } from '../files/image-receiver.js';
import type { StagingFile, UploadArea } from '../files/upload-area.js';
import { fetchFile } from './http-files.js';
import type { ImageServer, RemoteImage, ReportProgress } from './image-server.js';
import { Progress } from './progress.js';
import { chooseImage, imagesOf, streamIndex, streamProducts, type StreamFile, type StreamImage } from './simplestreams.rules.js';
import type { StreamCache } from './stream-cache.js';
import { unlessAborted } from '../files/unless-aborted.js';

const idleTimeoutMs = 30_000;
const loadTimeoutMs = 120_000;

/** A read-only image server that speaks simplestreams, as the public ones do: JSON files over HTTP that name image files and their hashes. */
export class SimplestreamsImageServer implements ImageServer {
  private readonly base: string;

  constructor(
    server: string,
    private readonly transport: HttpTransport,
    private readonly area: UploadArea,
    private readonly cache: StreamCache,
    private readonly architectures: readonly string[],
  ) {
    this.base = server.replace(/\/+$/, '');
  }

  async find(name: string, type: string, signal: AbortSignal): Promise<StreamImage> {
    try {
      // Others may wait for the same load, so it does not end with the first caller's patience.
      const images = await unlessAborted(this.cache.get(this.base, () => this.load(AbortSignal.timeout(loadTimeoutMs))), signal, 'context canceled');
      const image = chooseImage(images, name, type, this.architectures);
      if (image === undefined) throw notFound("The requested image couldn't be found");
      return image;
    } catch (error) {
      throw wrap(error, 'Failed getting remote image info: Failed getting image');
    }
  }

  async fetch(image: RemoteImage, report: ReportProgress, signal: AbortSignal): Promise<ReceivedImage> {
    const { meta, rootfs } = image as StreamImage;
    const hash = createHash('sha256');
    const files: StagingFile[] = [];
    try {
      const parts: [StreamFile, string][] = rootfs === null ? [[meta, '']] : [[meta, 'metadata'], [rootfs, 'rootfs']];
      for (const [part, label] of parts) {
        const file = await this.area.create(hash);
        files.push(file);
        await fetchFile(this.transport, `${this.base}/${part.path}`, file, new Progress(report, label, part.sizeBytes).add, signal);
      }
    } catch (error) {
      for (const file of files) await file.close();
      await this.area.discard(...files.map((file) => file.path));
      throw error;
    }
    for (const file of files) await file.close();
    return {
      metaPath: files[0]!.path, rootfsPath: files[1]?.path ?? '', fingerprint: hash.digest('hex'), sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
      filename: image.filename, declaredType: rootfs === null ? null : image.type,
    };
  }

  close(): void {
    this.transport.close();
  }

  private async load(signal: AbortSignal): Promise<StreamImage[]> {
    try {
      const index = streamIndex.parse(await this.json('streams/v1/index.json', signal));
      const paths = Object.values(index.index).filter((entry) => entry.datatype === undefined || entry.datatype === 'image-downloads').map((entry) => entry.path);
      const images: StreamImage[] = [];
      for (const path of new Set(paths)) images.push(...imagesOf(streamProducts.parse(await this.json(path, signal))));
      return images;
    } catch (error) {
      throw wrap(error, 'Failed parsing stream');
    }
  }

  private async json(path: string, signal: AbortSignal): Promise<unknown> {
    const url = `${this.base}/${path}`;
    const answer = await this.transport.request({ method: 'GET', url, signal, idleTimeoutMs });
    if (answer.statusCode !== 200) {
      answer.resume();
      throw unavailable(`Failed to fetch "${url}": ${answer.statusCode} ${answer.statusMessage}`);
    }
    try {
      return JSON.parse(await readText(answer, 256 * 1024 * 1024));
    } catch (error) {
      throw unavailable(`"${url}" cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }
}
