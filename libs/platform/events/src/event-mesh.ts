import { Injectable, Optional, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { LocalMember, Logger } from '#kernel';
import { eventTypes, type EventType } from '#api-types';
import { LocalPeers, Peers } from '#ports';
import { ChangeFeed } from '#platform/database';
import { EventBus, type RemoteEvent } from './event-bus.js';
import { eventModeOf, hubFor, type EventMode } from './event-hubs.rules.js';
import { EventPublisher } from './event-publisher.js';
import type { EventHold, EventSource, MeshListener } from './event-source.js';
import { PeerSubscription, subscribeStream, type EventWish } from './peer-subscription.js';

/** How long a wish for a kind outlives its last listener: commands that follow each other find it granted. */
const lingerMs = 10_000;
/** How long a new listener waits for members that do not answer; keep-alive tells of dead ones later. */
const patienceMs = 500;

/** How long a stream may be broken before its member counts as lost: it breaks as well under load, and when certificates change. */
const lossMs = 1000;
/** How often it is looked who is a member: rows tell at once, but whether this one is clustered is no row. */
const followMs = 1000;

const nothing: EventWish = { types: [], relay: false };

/**
 * Events of all members on every member: each holds a stream open to each other one, which also tells that it is there. Over it events travel only while
 * somebody here listens to their kind, so that a quiet cluster builds none. Events of one member keep their order; those of different members have none.
 *
 * Where at least two members are hubs, the others ask nobody but one hub, which hears all members and hands on what they publish. So a member
 * sends an event to the hubs, however many listen; without a hub that can be reached, each is asked again itself.
 */
@Injectable()
export class EventMesh implements EventSource, OnApplicationBootstrap, OnApplicationShutdown {
  private readonly subscriptions = new Map<number, PeerSubscription>();
  private readonly holders = new Map<EventType, number>(eventTypes.map((type) => [type, 0]));
  private readonly listeners = new Set<MeshListener>();
  private readonly lingering = new Set<NodeJS.Timeout>();
  private stops: (() => void)[] = [];
  private stopped = false;
  private lastAsked: Promise<void> = Promise.resolve();
  /** The hub this member hears the others through. */
  private hub: number | null = null;

  constructor(
    private readonly bus: EventBus,
    private readonly feed: ChangeFeed,
    private readonly logger: Logger,
    @Optional() private readonly peers: Peers = new LocalPeers(new LocalMember()),
  ) {
    const publisher = new EventPublisher(bus, this);
    this.peers.handleStream(subscribeStream, (_request, stream, { memberId, memberName }) => {
      // Whoever asks is there: one that was started again would otherwise count as lost until it is asked the next time.
      this.heardOf(memberId);
      return publisher.publishTo(stream, memberName);
    });
  }

  get mode(): EventMode {
    return eventModeOf(this.bus.memberId, this.peers.eventHubs());
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
    this.lastAsked = within(patienceMs, this.askAll());
    return this.lastAsked;
  }

  /** Who is asked for less, or for nothing, first: nobody shall be heard twice. */
  private async askAll(): Promise<void> {
    this.hub = hubFor(this.bus.memberId, this.peers.eventHubs(), (id) => this.connected(id));
    const wishes = [...this.subscriptions.values()].map((subscription) => ({ subscription, wish: this.wishFor(subscription.memberId) })).filter(({ subscription, wish }) => !subscription.has(wish));
    const less = wishes.filter(({ wish }) => wish.types.length === 0);
    await within(patienceMs, Promise.all(less.map(({ subscription, wish }) => subscription.want(wish))));
    await Promise.all(wishes.filter((one) => !less.includes(one)).map(({ subscription }) => subscription.want(this.wishFor(subscription.memberId))));
  }

  private wishFor(memberId: number): EventWish {
    if (this.hub === null) return { types: this.wanted(), relay: false };
    return memberId === this.hub ? { types: this.wanted(), relay: true } : nothing;
  }

  /** Another hub is to be asked, or none any more. */
  private changeHub(): void {
    if (hubFor(this.bus.memberId, this.peers.eventHubs(), (id) => this.connected(id)) !== this.hub) void this.ask();
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
    this.changeHub();
  }

  private subscribeTo(id: number): void {
    const subscription = new PeerSubscription(id, this.peers, this.logger, {
      event: (event) => {
        const from = this.originOf(event, id);
        for (const listener of this.listeners) listener.event?.(from, event);
        this.bus.relay(event);
      },
      acknowledged: ({ types, relay }) => {
        // Of a member behind a hub the hub tells.
        const members = relay ? this.subscriptions.keys() : this.hub === null ? [id] : [];
        for (const member of members) this.tellSubscribed(member, types);
      },
      behind: (member, types) => this.tellSubscribed(member, types),
      connected: () => this.changeHub(),
      lost: () => {
        this.changeHub();
        for (const listener of this.listeners) listener.lost?.(id);
      },
    });
    this.subscriptions.set(id, subscription);
    subscription.open(this.wishFor(id));
  }

  private tellSubscribed(memberId: number, types: readonly EventType[]): void {
    for (const listener of this.listeners) listener.subscribed?.(memberId, types);
  }

  /** Who published an event that came from a member, which may have handed it on. */
  private originOf({ location }: RemoteEvent, from: number): number {
    if (from !== this.hub) return from;
    return this.peers.others().find(({ name }) => name === location)?.id ?? from;
  }
}

/** Resolves with the work or when the time is over. */
function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms).unref();
  void work.then(() => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
}
