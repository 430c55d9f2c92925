import type { Duplex } from 'node:stream';
import type { Requestor } from '#kernel';

export interface PeerCallOptions {
  /** 0 waits as long as the connection lives. Default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** On whose behalf; the member itself unless given. */
  readonly requestor?: Requestor;
  /** For streams only: megabytes are to come from the other side, so that a connection of their own pays. */
  readonly bulk?: boolean;
}

/** Who calls, as the receiving member verified it by its certificate. */
export interface PeerCaller {
  readonly memberId: number;
  readonly memberName: string;
  readonly requestor: Requestor;
  /** Aborts when the caller gives up or goes away. */
  readonly signal: AbortSignal;
}

export type PeerHandler = (request: never, caller: PeerCaller) => Promise<object | void>;
/** Owns the stream: ends it when done, destroys it with an AppError to fail the other side. */
export type PeerStreamHandler = (request: never, stream: Duplex, caller: PeerCaller) => Promise<void>;

/** A member as a caller needs to reach it. */
export interface PeerMember {
  readonly id: number;
  readonly name: string;
  /** `host:port` of its cluster listener. */
  readonly address: string;
}

/**
 * The other members of the cluster: calls and byte streams by name, over mutual TLS between members. Requests and replies are plain JSON data;
 * the receiver checks what it gets. Names are `noun.verb` (`instances.describe-status`).
 *
 * Errors arrive with their kind and message (`AppError`). `unavailable` when the member cannot be reached or does not answer in time: what it
 * did is then unknown. A call to this member itself runs its handler in place.
 */
export abstract class Peers {
  abstract call<Reply>(memberId: number, name: string, request: object, options?: PeerCallOptions): Promise<Reply>;
  /** Opens a stream of bytes both ways, with back-pressure. Resolves once the other side's handler has it; fails with its error otherwise. */
  abstract openStream(memberId: number, name: string, request: object, options?: PeerCallOptions): Promise<Duplex>;
  abstract handle(name: string, handler: PeerHandler): void;
  abstract handleStream(name: string, handler: PeerStreamHandler): void;
  /** All members of the cluster but this one, whatever their state. Empty when standalone. */
  abstract others(): PeerMember[];
  /** Members with the role `event-hub`, in the order of their numbers; this one as well where it has it. */
  eventHubs(): readonly number[] {
    return [];
  }
  /** Whether a member was seen within the offline threshold. True for this one. */
  abstract isOnline(memberId: number): boolean;
}
