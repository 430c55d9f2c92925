import { Injectable } from '@nestjs/common';
import type { ProxySettings } from '#client';
import { HttpTransport } from '#client/http';
import { invalid } from '#kernel';
import { ServerConfig } from '#features/server';
import { ImageReceiver } from '../files/image-receiver.js';
import { UploadArea } from '../files/upload-area.js';
import { hostArchitectures } from '../rules/architectures.rules.js';
import { DirectImageServer } from './direct-image-server.js';
import type { ImageServer, ImageServerAddress } from './image-server.js';
import { LxdImageServer } from './lxd-image-server.js';
import { SimplestreamsImageServer } from './simplestreams-image-server.js';
import { StreamCache } from './stream-cache.js';

/** Shown to servers of images, which choose by it what they offer. */
export const userAgent = 'LXD 5.0.2 (Roost)';
const version = '5.0.2';

/** Opens the server an image's source names, through the configured proxies. Close it after use. */
@Injectable()
export class ImageServers {
  private readonly streams = new StreamCache();
  /** Architectures of this host, the preferred one first. */
  readonly architectures = hostArchitectures(process.arch);

  constructor(private readonly config: ServerConfig, private readonly area: UploadArea, private readonly receiver: ImageReceiver) {}

  get proxy(): ProxySettings {
    return { http: this.config.get('core.proxy_http'), https: this.config.get('core.proxy_https'), ignoreHosts: this.config.get('core.proxy_ignore_hosts') };
  }

  open(address: ImageServerAddress): ImageServer {
    switch (address.protocol) {
      case 'simplestreams':
        return new SimplestreamsImageServer(address.server, this.transport(address), this.area, this.streams, this.architectures);
      case 'direct':
        return new DirectImageServer(address.server, this.transport(address), this.area, { architectures: this.architectures, version });
      case 'lxd':
      case '':
        return new LxdImageServer(address, this.proxy, userAgent, this.receiver);
      default:
        throw invalid(`Unsupported protocol: ${address.protocol}`);
    }
  }

  /** Makes the next look at a stream a fresh one. */
  forgetStream(server: string): void {
    this.streams.forget(server.replace(/\/+$/, ''));
  }

  private transport({ certificate }: ImageServerAddress): HttpTransport {
    return new HttpTransport({ certificate, proxy: this.proxy }, userAgent);
  }
}
