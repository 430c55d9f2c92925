import type { Image, ImageAliasesEntry } from '#api-types';
import { ApiClient, type ProxySettings } from '#client';
import { AppError, invalid, wrap } from '#kernel';
import type { ImageReceiver, ReceivedImage } from '../files/image-receiver.js';
import type { ImageServer, ImageServerAddress, RemoteImage, ReportProgress } from './image-server.js';
import { Progress } from './progress.js';

const idleTimeoutMs = 60_000;

/** Images of another server of this API: public ones, or a private one whose secret is known. */
export class LxdImageServer implements ImageServer {
  private readonly client: ApiClient;

  constructor(private readonly address: ImageServerAddress, proxy: ProxySettings, userAgent: string, private readonly receiver: ImageReceiver) {
    this.client = new ApiClient(
      { url: address.server, certificate: address.certificate, proxy }, { userAgent, project: address.project });
  }

  async find(name: string, type: string, signal: AbortSignal): Promise<RemoteImage> {
    try {
      await this.client.get('/1.0', { signal, idleTimeoutMs });
    } catch (error) {
      throw wrap(error, `Failed to connect to LXD server "${this.address.server}"`);
    }
    try {
      const fingerprint = (await this.alias(name, type, signal)) ?? name;
      const image = await this.client.get<Image>(`/1.0/images/${encodeURIComponent(fingerprint)}${this.secretQuery}`, { signal, idleTimeoutMs });
      return {
        fingerprint: image.fingerprint, type: image.type === 'virtual-machine' ? 'virtual-machine' : 'container', filename: image.filename,
        sizeBytes: image.size, architecture: image.architecture, createdAt: image.created_at, expiresAt: image.expires_at, properties: image.properties,
      };
    } catch (error) {
      throw wrap(error, 'Failed getting remote image info');
    }
  }

  async fetch(image: RemoteImage, report: ReportProgress, signal: AbortSignal): Promise<ReceivedImage> {
    const answer = await this.client.download(`/1.0/images/${image.fingerprint}/export${this.secretQuery}`, { signal, idleTimeoutMs });
    const type = answer.headers['content-type'] ?? '';
    const progress = new Progress(report, type.startsWith('multipart/') ? 'rootfs' : '', image.sizeBytes);
    const received = type.startsWith('multipart/')
      ? await this.receiver.receiveSplit(answer, type, progress.add)
      : await this.receiver.receiveUnified(answer, progress.add);
    return received;
  }

  close(): void {
    this.client.close();
  }

  private get secretQuery(): string {
    return this.address.secret === '' ? '' : `?secret=${encodeURIComponent(this.address.secret)}`;
  }

  private async alias(name: string, type: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const entry = await this.client.get<ImageAliasesEntry>(`/1.0/images/aliases/${encodeURIComponent(name)}`, { signal, idleTimeoutMs });
      if (type !== '' && entry.type !== '' && entry.type !== type) throw invalid("Alias doesn't exist for the specified type");
      return entry.target;
    } catch (error) {
      // Servers hide aliases of private images, and older ones refuse the path to strangers.
      if (AppError.is(error, 'not-found') || AppError.is(error, 'forbidden')) return undefined;
      throw error;
    }
  }
}
