import type { ImageType } from '../data/images.repository.js';
import type { ReceivedImage } from '../files/image-receiver.js';

/** What a server says of one image. */
export interface RemoteImage {
  readonly fingerprint: string;
  readonly type: ImageType;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly architecture: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** `rootfs: 45% (3.20MB/s)` and the like. */
export type ReportProgress = (text: string) => void;

/** A place images come from. Errors: `not-found`, `unavailable`, worded as LXD does. */
export interface ImageServer {
  /** Alias, fingerprint or its beginning. An empty `type` takes any, containers first. */
  find(name: string, type: string, signal: AbortSignal): Promise<RemoteImage>;
  /** Fetches the files; what was fetched has the fingerprint asked for, or this throws and leaves nothing. */
  fetch(image: RemoteImage, report: ReportProgress, signal: AbortSignal): Promise<ReceivedImage>;
  close(): void;
}

/** Which server and how to talk to it. */
export interface ImageServerAddress {
  readonly server: string;
  /** `lxd`, `simplestreams` or `direct`. */
  readonly protocol: string;
  readonly certificate: string;
  /** For private images of an LXD server. */
  readonly secret: string;
  /** Project on an LXD server; empty for its default. */
  readonly project: string;
}
