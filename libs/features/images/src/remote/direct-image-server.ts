import { createHash } from 'node:crypto';
import { zeroTime } from '#api-types';
import type { HttpTransport } from '#client/http';
import { invalid } from '#kernel';
import type { ReceivedImage } from '../files/image-receiver.js';
import type { UploadArea } from '../files/upload-area.js';
import { fetchFile } from './http-files.js';
import type { ImageServer, RemoteImage, ReportProgress } from './image-server.js';
import { Progress } from './progress.js';

/**
 * A unified image on a web server: `HEAD` of the given URL names hash and address of the file in `LXD-Image-Hash` and `LXD-Image-URL`.
 */
export class DirectImageServer implements ImageServer {
  private fileUrl = '';
  private sizeBytes = 0;

  constructor(
    private readonly url: string,
    private readonly transport: HttpTransport,
    private readonly area: UploadArea,
    private readonly identity: { readonly architectures: readonly string[]; readonly version: string },
  ) {}

  /** The name is not used: the URL says it all. */
  async find(_name: string, _type: string, signal: AbortSignal): Promise<RemoteImage> {
    const answer = await this.transport.request({
      method: 'HEAD', url: this.url, signal, idleTimeoutMs: 60_000,
      headers: { 'LXD-Server-Architectures': this.identity.architectures.join(', '), 'LXD-Server-Version': this.identity.version },
    });
    answer.resume();
    const hash = answer.headers['lxd-image-hash'];
    const url = answer.headers['lxd-image-url'];
    if (typeof hash !== 'string' || hash === '') throw invalid('Missing LXD-Image-Hash header');
    if (typeof url !== 'string' || url === '') throw invalid('Missing LXD-Image-URL header');
    this.fileUrl = url;
    return { fingerprint: hash, type: 'container', filename: '', sizeBytes: 0, architecture: '', createdAt: zeroTime, expiresAt: zeroTime, properties: {} };
  }

  async fetch(_image: RemoteImage, report: ReportProgress, signal: AbortSignal): Promise<ReceivedImage> {
    const hash = createHash('sha256');
    const file = await this.area.create(hash);
    try {
      await fetchFile(this.transport, this.fileUrl, file, new Progress(report, '', this.sizeBytes).add, signal);
    } catch (error) {
      await file.close();
      await this.area.discard(file.path);
      throw error;
    }
    await file.close();
    return { metaPath: file.path, rootfsPath: '', fingerprint: hash.digest('hex'), sizeBytes: file.sizeBytes, filename: '', declaredType: null };
  }

  close(): void {
    this.transport.close();
  }
}
