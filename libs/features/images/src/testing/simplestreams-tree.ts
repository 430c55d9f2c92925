import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metadataTarball, sha256, squashfsFile } from './sample-images.js';

/** How the server treats one request for a file. */
export interface Treatment {
  /** Send this many bytes and break the connection. */
  readonly cutAfter?: number;
  /** Wait for this before answering. */
  readonly after?: Promise<void>;
}

/** A simplestreams server on loopback with products of one version each, as the public ones publish them. */
export class SimplestreamsTree {
  readonly files = new Map<string, Buffer>();
  /** Paths asked for, in order. */
  readonly requests: string[] = [];
  treat: (path: string) => Treatment = () => ({});
  private readonly products: Record<string, unknown> = {};
  private server!: Server;

  async start(): Promise<this> {
    this.server = createServer((request, response) => void this.answer(request.url ?? '', request.headers.range, response)).listen(0, '127.0.0.1');
    await new Promise((done) => this.server.once('listening', done));
    return this;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Publishes (or replaces) a product with a squashfs image; returns its fingerprint. */
  publish(alias: string, serial: string, options: { readonly arch?: string; readonly os?: string; readonly rootBytes?: number } = {}): string {
    const arch = options.arch ?? 'amd64';
    const [meta, root] = [metadataTarball(`${options.os ?? 'Ubuntu'}-${serial}-${arch}`), squashfsFile(options.rootBytes)];
    const [metaPath, rootPath] = [`images/${alias}-${serial}-${arch}-lxd.tar.xz`, `images/${alias}-${serial}-${arch}.squashfs`];
    this.files.set(metaPath, meta).set(rootPath, root);
    const fingerprint = sha256(meta, root);
    this.products[`com.example:${alias}:${arch}`] = {
      aliases: `${alias},default`, arch, os: 'ubuntu', release: 'noble', release_title: '24.04 LTS', version: '24.04', support_eol: '2029-05-31',
      versions: {
        [serial]: {
          label: 'release',
          items: {
            'lxd.tar.xz': { ftype: 'lxd.tar.xz', path: metaPath, size: meta.length, sha256: sha256(meta), combined_squashfs_sha256: fingerprint },
            'root.squashfs': { ftype: 'squashfs', path: rootPath, size: root.length, sha256: sha256(root) },
          },
        },
      },
    };
    this.files.set('streams/v1/products.json', Buffer.from(JSON.stringify({ format: 'products:1.0', products: this.products })));
    this.files.set('streams/v1/index.json', Buffer.from(JSON.stringify({
      format: 'index:1.0', index: { images: { datatype: 'image-downloads', path: 'streams/v1/products.json', format: 'products:1.0', products: Object.keys(this.products) } },
    })));
    return fingerprint;
  }

  private async answer(url: string, range: string | undefined, response: import('node:http').ServerResponse): Promise<void> {
    const path = url.slice(1);
    this.requests.push(path);
    const treatment = this.treat(path);
    await treatment.after;
    const file = this.files.get(path);
    if (file === undefined) return void response.writeHead(404).end();
    const start = range === undefined ? 0 : Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, { 'Content-Length': file.length - start, 'Accept-Ranges': 'bytes' });
    if (treatment.cutAfter === undefined) return void response.end(file.subarray(start));
    response.write(file.subarray(start, start + treatment.cutAfter), () => setTimeout(() => response.destroy(), 20));
  }
}
