import type { Duplex } from 'node:stream';
import { messageOf, type Logger } from '#kernel';
import { eventTypes, type EventType } from '#api-types';
import type { Peers } from '#ports';
import type { RemoteEvent } from './event-bus.js';
import { LineStream } from './line-stream.js';

/** Name of the stream between members: the subscriber says which kinds it wants, the publisher acknowledges and sends. */
export const subscribeStream = 'events.subscribe';

/** All kinds a subscriber wants from now on; with `relay` those of the other members as well. */
export interface EventWish {
  readonly types: readonly EventType[];
  readonly relay: boolean;
}

/**
 * What a subscriber writes. The publisher answers `{"ack": n}` before the first event under it. One that relays writes `{"member": id, "types": [...]}`
 * when a member behind it sends these kinds from now on.
 */
export type NumberedWish = EventWish & { readonly n: number };

export interface SubscriptionEvents {
  event(event: RemoteEvent): void;
  /** The publisher has acknowledged this: events from now on arrive. */
  acknowledged(wish: EventWish): void;
  /** A member behind it sends these kinds from now on. */
  behind(memberId: number, types: readonly EventType[]): void;
  connected(): void;
  lost(): void;
}

const firstRetryMs = 50;
const lastRetryMs = 500;

/**
 * This member's subscription to the events of one other, kept open for as long as that one is a member. A broken stream is opened again,
 * and asks for the same kinds; what happened in between is missed, as by any listener.
 */
export class PeerSubscription {
  /** Since when the stream is broken or could not be opened, by the monotonic clock; null while it is open and before the first try. */
  lostAt: number | null = null;
  private wanted: EventWish = { types: [], relay: false };
  private acknowledged: EventWish | null = null;
  private asked = 0;
  private stream: LineStream | undefined;
  private raw: Duplex | undefined;
  private retryMs = firstRetryMs;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private connecting = false;
  private readonly waiting = new Map<number, { readonly wish: EventWish; readonly resolve: () => void }>();

  constructor(
    readonly memberId: number,
    private readonly peers: Peers,
    private readonly logger: Logger,
    private readonly heard: SubscriptionEvents,
  ) {}

  get connected(): boolean {
    return this.stream !== undefined;
  }

  open(wish: EventWish): void {
    this.wanted = wish;
    void this.connect();
  }

  /** Whether the publisher knows this wish and nothing else was asked since. */
  has(wish: EventWish): boolean {
    return this.acknowledged !== null && this.waiting.size === 0 && isSame(this.acknowledged, wish);
  }

  /** Resolves once the publisher has this wish, or at once when it cannot be reached now: it is asked when it can. */
  async want(wish: EventWish): Promise<void> {
    this.wanted = wish;
    if (this.stream !== undefined && !this.has(wish)) await this.ask(this.stream);
  }

  /** The member was heard of otherwise: it is asked again at once, and does not count as lost before that had its time. */
  hurry(): void {
    if (this.closed || this.stream !== undefined) return;
    if (this.lostAt !== null) this.lostAt = performance.now();
    this.retryMs = firstRetryMs;
    if (this.connecting) return;
    clearTimeout(this.timer);
    void this.connect();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.raw?.destroy();
    this.forgetStream();
  }

  private async connect(): Promise<void> {
    this.connecting = true;
    try {
      const raw = await this.peers.openStream(this.memberId, subscribeStream, {});
      if (this.closed) return void raw.destroy();
      this.attach(raw);
    } catch (error) {
      if (this.lostAt === null) this.logger.debug('Cannot subscribe to the events of a member', { member: this.memberId, error: messageOf(error) });
      this.retryLater();
    } finally {
      this.connecting = false;
    }
  }

  private attach(raw: Duplex): void {
    const stream = new LineStream(raw, (line) => this.onLine(line));
    this.raw = raw;
    this.stream = stream;
    this.lostAt = null;
    this.retryMs = firstRetryMs;
    const broken = (): void => {
      if (this.stream !== stream) return;
      raw.destroy();
      this.forgetStream();
      if (this.closed) return;
      this.retryLater();
      this.heard.lost();
    };
    raw.once('error', broken).once('end', broken).once('close', broken);
    // The first may come with the second: an error without a listener would end the process.
    raw.on('error', () => undefined);
    void this.ask(stream);
    this.heard.connected();
  }

  private ask(stream: LineStream): Promise<void> {
    const n = ++this.asked;
    const wish = this.wanted;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.set(n, { wish, resolve });
    stream.write(JSON.stringify({ ...wish, n } satisfies NumberedWish));
    return promise;
  }

  private onLine(line: string): void {
    const message = JSON.parse(line) as { ack?: number; member?: number; types?: EventType[]; type?: string; location?: string; project?: string; metadata?: unknown };
    if (message.ack !== undefined) {
      const answered = this.waiting.get(message.ack);
      this.waiting.delete(message.ack);
      if (answered === undefined) return;
      this.acknowledged = answered.wish;
      answered.resolve();
      this.heard.acknowledged(answered.wish);
    } else if (message.member !== undefined) {
      this.heard.behind(message.member, message.types ?? []);
    } else if ((eventTypes as readonly string[]).includes(message.type ?? '')) {
      this.heard.event({ type: message.type as EventType, metadata: message.metadata, json: line, ...(message.location === undefined ? {} : { location: message.location }), ...(message.project === undefined ? {} : { project: message.project }) });
    }
  }

  private forgetStream(): void {
    this.stream = undefined;
    this.raw = undefined;
    this.acknowledged = null;
    for (const { resolve } of this.waiting.values()) resolve();
    this.waiting.clear();
  }

  private retryLater(): void {
    this.lostAt ??= performance.now();
    if (this.closed) return;
    this.timer = setTimeout(() => void this.connect(), this.retryMs).unref();
    this.retryMs = Math.min(this.retryMs * 2, lastRetryMs);
  }
}

function isSame(a: EventWish, b: EventWish): boolean {
  return a.relay === b.relay && a.types.join() === b.types.join();
}
