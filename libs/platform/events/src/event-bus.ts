import { Injectable, Optional } from '@nestjs/common';
import { LocalMember, preciseTimestamp, type Requestor } from '#kernel';
import { encodeJson, type EventApi, type EventType } from '#api-types';

/** What a feature says happened. Publish after the commit that made it true (`tx.afterCommit`). */
export interface LifecycleEvent {
  /** Example: instance-created */
  readonly action: string;
  /** URL of the object, with `?project=` unless it is the default project. */
  readonly source: string;
  readonly project: string;
  /** Left out of the message when null, absent or empty. */
  readonly context?: Readonly<Record<string, unknown>> | null;
  /** Left out for work nobody asked for (protocol `internal`). */
  readonly requestor?: Requestor;
}

export interface LoggingEvent {
  readonly level: 'trace' | 'debug' | 'info' | 'warning' | 'error';
  readonly message: string;
  readonly context?: Readonly<Record<string, string>>;
}

export interface EventFilter {
  /** Kinds to deliver. */
  readonly types: readonly string[];
  /** Deliver only this project's events and those of no project; null = all projects. */
  readonly project: string | null;
}

/** An event that another member published, as that one wrote it. */
export interface RemoteEvent {
  readonly type: EventType;
  /** Name of the member that published it. */
  readonly location?: string;
  /** Absent where it belongs to no project. */
  readonly project?: string;
  readonly metadata: unknown;
  readonly json: string;
}

interface Listener {
  readonly project: string | null;
  /** Hears this member's events only: it passes them on to another one. */
  readonly localOnly: boolean;
  readonly send: (json: string) => void;
}

/**
 * Events handed to listeners: this member's in the order they were published, and those of other members as they arrive. Nothing is
 * stored: who subscribes later missed them. Each event is serialised once, however many listen, and not at all when nobody does.
 */
@Injectable()
export class EventBus {
  private readonly listeners: Record<EventType, Set<Listener>> = { logging: new Set(), operation: new Set(), lifecycle: new Set() };

  constructor(@Optional() private readonly member: LocalMember = new LocalMember()) {}

  /** Number of this member. */
  get memberId(): number {
    return this.member.id;
  }

  lifecycle(event: LifecycleEvent): void {
    if (this.listeners.lifecycle.size === 0) return;
    const { action, source, project, context, requestor } = event;
    const metadata = {
      action,
      source,
      ...(context && Object.keys(context).length > 0 ? { context } : {}),
      ...(requestor && requestor.protocol !== 'internal'
        ? { requestor: { username: requestor.username, protocol: requestor.protocol, address: requestor.address } }
        : {}),
    };
    this.publish('lifecycle', metadata, project);
  }

  logging(event: LoggingEvent): void {
    if (this.listeners.logging.size === 0) return;
    this.publish('logging', { message: event.message, level: event.level, context: event.context ?? {} }, undefined);
  }

  /** `operation` is the wire shape at this moment; it is serialised before this returns. */
  operation(operation: object, project: string): void {
    if (this.listeners.operation.size === 0) return;
    this.publish('operation', operation, project);
  }

  /** Hands on what another member published. Those who listen for other members do not hear it: nothing goes round in circles. */
  relay(event: RemoteEvent): void {
    for (const listener of this.listeners[event.type]) {
      if (!listener.localOnly && wants(listener, event.project)) listener.send(event.json);
    }
  }

  /** True when somebody listens to this kind, so that the caller can spare building an event. */
  hasListeners(type: EventType): boolean {
    return this.listeners[type].size > 0;
  }

  /** `send` gets each event as JSON text, at once and in order; it must not block. Returns the way to stop. */
  subscribe(filter: EventFilter, send: (json: string) => void): () => void {
    return this.add(filter.types, { project: filter.project, localOnly: false, send });
  }

  /** The events of this member alone, of all projects. */
  subscribeLocal(types: readonly string[], send: (json: string) => void): () => void {
    return this.add(types, { project: null, localOnly: true, send });
  }

  private add(types: readonly string[], listener: Listener): () => void {
    const sets = (Object.keys(this.listeners) as EventType[]).filter((t) => types.includes(t)).map((t) => this.listeners[t]);
    for (const set of sets) set.add(listener);
    return () => {
      for (const set of sets) set.delete(listener);
    };
  }

  private publish(type: EventType, metadata: unknown, project: string | undefined): void {
    let json: string | undefined;
    for (const listener of this.listeners[type]) {
      if (!wants(listener, project)) continue;
      json ??= encodeJson({ type, timestamp: preciseTimestamp(), metadata, location: this.member.location, project } satisfies EventApi);
      listener.send(json);
    }
  }
}

function wants(listener: Listener, project: string | undefined): boolean {
  return project === undefined || listener.project === null || listener.project === project;
}
