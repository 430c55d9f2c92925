import type { Duplex } from 'node:stream';
import { messageOf, type Logger } from '#kernel';
import { eventTypes, type EventType } from '#api-types';
import type { Peers } from '#ports';
import type { RemoteEvent } from './event-bus.js';
import { LineStream } from './line-stream.js';

/** Name of the stream between members: the subscriber says which kinds it wants, the publisher acknowledges and sends. */
export const subscribeStream = 'events.subscribe';

/** What a subscriber writes: all kinds it wants from now on. The publisher answers `{"ack": n}` before the first event under them. */
export interface EventWish {
  readonly types: readonly EventType[];
  readonly n: number;
}

export interface SubscriptionEvents {
  event(event: RemoteEvent): void;
  /** The publisher has acknowledged these kinds: events from now on arrive. */
  acknowledged(types: readonly EventType[]): void;
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
  private wanted: readonly EventType[] = [];
  private asked = 0;
  private stream: LineStream | undefined;
  private raw: Duplex | undefined;
  private retryMs = firstRetryMs;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;
  private connecting = false;
  private readonly waiting = new Map<number, { readonly types: readonly EventType[]; readonly resolve: () => void }>();

  constructor(
    readonly memberId: number,
    private readonly peers: Peers,
    private readonly logger: Logger,
    private readonly heard: SubscriptionEvents,
  ) {}

  get connected(): boolean {
    return this.stream !== undefined;
  }

  open(types: readonly EventType[]): void {
    this.wanted = types;
    void this.connect();
  }

  /** Resolves once the publisher has these kinds, or at once when it cannot be reached now: it is asked when it can. */
  async want(types: readonly EventType[]): Promise<void> {
    this.wanted = types;
    if (this.stream !== undefined) await this.ask(this.stream);
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
  }

  private ask(stream: LineStream): Promise<void> {
    const n = ++this.asked;
    const types = this.wanted;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.set(n, { types, resolve });
    stream.write(JSON.stringify({ types, n } satisfies EventWish));
    return promise;
  }

  private onLine(line: string): void {
    const message = JSON.parse(line) as { ack?: number; type?: string; project?: string; metadata?: unknown };
    if (message.ack !== undefined) {
      const answered = this.waiting.get(message.ack);
      this.waiting.delete(message.ack);
      answered?.resolve();
      if (answered !== undefined) this.heard.acknowledged(answered.types);
    } else if ((eventTypes as readonly string[]).includes(message.type ?? '')) {
      this.heard.event({ type: message.type as EventType, metadata: message.metadata, json: line, ...(message.project === undefined ? {} : { project: message.project }) });
    }
  }

  private forgetStream(): void {
    this.stream = undefined;
    this.raw = undefined;
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
