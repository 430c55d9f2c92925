import type { EventType } from '#api-types';
import type { RemoteEvent } from './event-bus.js';

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

/** Where events of other members come from. */
export interface EventSource {
  hold(types: readonly EventType[]): EventHold;
  /** Returns the way to stop. */
  listen(listener: MeshListener): () => void;
}
