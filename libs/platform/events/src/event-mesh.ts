import { Injectable, Optional, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { LocalMember, Logger } from '#kernel';
import { eventTypes, type EventType } from '#api-types';
import { LocalPeers, Peers } from '#ports';
import { ChangeFeed } from '#platform/database';
import { EventBus, type RemoteEvent } from './event-bus.js';
import { LineStream } from './line-stream.js';
import { PeerSubscription, subscribeStream } from './peer-subscription.js';

/** How long a wish for a kind outlives its last listener: commands that follow each other find it granted. */
const lingerMs = 10_000;
/** How long a new listener waits for members that do not answer; keep-alive tells of dead ones later. */
const patienceMs = 500;

/** How long a stream may be broken before its member counts as lost: it breaks as well under load, and when certificates change. */
const lossMs = 1000;
/** How often it is looked who is a member: rows tell at once, but whether this one is clustered is no row. */
const followMs = 1000;

/** Somebody's wish to hear certain kinds from all members. */
export interface EventHold {
  /** Resolves when events that any reachable member publishes from now on arrive here. */
  readonly ready: Promise<void>;
  release(): void;
}

export interface MeshListener {
  event?(memberId: number, event: RemoteEvent): void;
  /** A member sends events of these kinds from now on. */
  subscribed?(memberId: number, types: readonly EventType[]): void;
  lost?(memberId: number): void;
}

const wish = z.object({ types: z.array(z.enum(eventTypes)), n: z.number() });

/**
 * Events of all members on every member: each holds a stream open to each other one (full mesh). Over it events travel only while somebody
 * here listens to their kind, so that a quiet cluster builds none. Events of one member keep their order; those of different members have none.
 */
@Injectable()
export class EventMesh implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly subscriptions = new Map<number, PeerSubscription>();
  private readonly holders = new Map<EventType, number>(eventTypes.map((type) => [type, 0]));
  private readonly listeners = new Set<MeshListener>();
  private readonly lingering = new Set<NodeJS.Timeout>();
  private stops: (() => void)[] = [];
  private stopped = false;
  private lastAsked: Promise<void> = Promise.resolve();

  constructor(
    private readonly bus: EventBus,
    private readonly feed: ChangeFeed,
    private readonly logger: Logger,
    @Optional() private readonly peers: Peers = new LocalPeers(new LocalMember()),
  ) {
    this.peers.handleStream(subscribeStream, (_request, stream, { memberId }) => {
      // Whoever asks is there: one that was started again would otherwise count as lost until it is asked the next time.
      this.heardOf(memberId);
      return this.publishTo(stream);
    });
  }

  onApplicationBootstrap(): void {
    // Not in the feed's own turn: `Peers` learns of the rows there as well.
    const follow = (): void => void setImmediate(() => this.followMembers());
    this.stops = [this.feed.subscribe(['nodes'], follow), this.feed.onReset(follow)];
    const timer = setInterval(() => this.followMembers(), followMs).unref();
    this.stops.push(() => clearInterval(timer));
    this.followMembers();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    for (const stop of this.stops) stop();
    for (const timer of this.lingering) clearTimeout(timer);
    for (const subscription of this.subscriptions.values()) subscription.close();
    this.subscriptions.clear();
  }

  hold(types: readonly EventType[]): EventHold {
    const before = this.wanted().length;
    for (const type of types) this.count(type, 1);
    const ready = this.wanted().length === before ? this.granted() : this.ask();
    let held = true;
    return {
      ready,
      release: () => {
        if (!held) return;
        held = false;
        this.releaseLater(types);
      },
    };
  }

  /** Whether events of a member arrive here. */
  connected(memberId: number): boolean {
    return this.subscriptions.get(memberId)?.connected === true;
  }

  /** Whether a member cannot be reached, whatever its lease says. A stream that is opened again within the grace time was only interrupted. */
  hasLost(memberId: number): boolean {
    const lostAt = this.subscriptions.get(memberId)?.lostAt ?? null;
    return lostAt !== null && performance.now() - lostAt > lossMs;
  }

  /** A member that seemed lost has answered something else than the mesh. */
  heardOf(memberId: number): void {
    this.subscriptions.get(memberId)?.hurry();
  }

  /** Returns the way to stop. */
  listen(listener: MeshListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Others have asked for the same before; what they asked may still be on its way. */
  private granted(): Promise<void> {
    return this.lastAsked;
  }

  private ask(): Promise<void> {
    const types = this.wanted();
    const all = Promise.all([...this.subscriptions.values()].map((subscription) => subscription.want(types)));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs).unref();
    void all.then(() => {
      clearTimeout(timer);
      resolve();
    });
    this.lastAsked = promise;
    return promise;
  }

  private releaseLater(types: readonly EventType[]): void {
    const timer = setTimeout(() => {
      this.lingering.delete(timer);
      const before = this.wanted().length;
      for (const type of types) this.count(type, -1);
      if (this.wanted().length !== before) void this.ask();
    }, lingerMs).unref();
    this.lingering.add(timer);
  }

  private count(type: EventType, by: number): void {
    this.holders.set(type, (this.holders.get(type) ?? 0) + by);
  }

  private wanted(): EventType[] {
    return eventTypes.filter((type) => (this.holders.get(type) ?? 0) > 0);
  }

  /** One subscription for each other member, whatever its state: a stream tells sooner than a lease that it is back. */
  private followMembers(): void {
    if (this.stopped) return;
    const ids = new Set(this.peers.others().map(({ id }) => id));
    for (const [id, subscription] of this.subscriptions) {
      if (ids.has(id)) continue;
      subscription.close();
      this.subscriptions.delete(id);
      for (const listener of this.listeners) listener.lost?.(id);
    }
    for (const id of ids) {
      if (!this.subscriptions.has(id)) this.subscribeTo(id);
    }
  }

  private subscribeTo(id: number): void {
    const subscription = new PeerSubscription(id, this.peers, this.logger, {
      event: (event) => {
        for (const listener of this.listeners) listener.event?.(id, event);
        this.bus.relay(event);
      },
      acknowledged: (types) => {
        for (const listener of this.listeners) listener.subscribed?.(id, types);
      },
      lost: () => {
        for (const listener of this.listeners) listener.lost?.(id);
      },
    });
    this.subscriptions.set(id, subscription);
    subscription.open(this.wanted());
  }

  /** Resolves when the subscriber has gone. */
  private publishTo(stream: Duplex): Promise<void> {
    let stop = (): void => undefined;
    const lines = new LineStream(stream, (line) => {
      const { types, n } = wish.parse(JSON.parse(line));
      stop();
      lines.write(JSON.stringify({ ack: n }));
      stop = this.bus.subscribeLocal(types, (json) => lines.write(json));
    });
    stream.on('error', () => stream.destroy());
    stream.once('end', () => stream.end());
    return new Promise((resolve) => {
      stream.once('close', () => {
        stop();
        resolve();
      });
    });
  }
}
