import type { StreamImage } from './simplestreams.rules.js';

/** Images per server for an hour, as LXD keeps them: a stream is megabytes of JSON, and instances are created in bursts. */
export class StreamCache {
  private readonly entries = new Map<string, { readonly images: Promise<StreamImage[]>; readonly until: number }>();

  constructor(private readonly lifetimeMs = 3600_000, private readonly maxServers = 16) {}

  get(server: string, load: () => Promise<StreamImage[]>): Promise<StreamImage[]> {
    const known = this.entries.get(server);
    if (known !== undefined && known.until > performance.now()) return known.images;
    const images = load();
    this.entries.delete(server);
    this.entries.set(server, { images, until: performance.now() + this.lifetimeMs });
    // A failure is not worth remembering.
    images.catch(() => this.entries.delete(server));
    const oldest = this.entries.keys().next().value;
    if (this.entries.size > this.maxServers && oldest !== undefined) this.entries.delete(oldest);
    return images;
  }

  forget(server: string): void {
    this.entries.delete(server);
  }
}
