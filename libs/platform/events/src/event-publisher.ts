import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { eventTypes, type EventType } from '#api-types';
import type { EventBus } from './event-bus.js';
import type { EventSource } from './event-source.js';
import { LineStream } from './line-stream.js';

const wishSchema = z.object({ types: z.array(z.enum(eventTypes)), n: z.number(), relay: z.boolean().default(false) });

/** The other side of a subscription: sends what is published here and, as a hub, what other members publish. */
export class EventPublisher {
  constructor(private readonly bus: EventBus, private readonly mesh: EventSource) {}

  /** Resolves when the subscriber has gone. */
  publishTo(stream: Duplex, subscriber: string): Promise<void> {
    let stop = (): void => undefined;
    let newest = 0;
    const lines = new LineStream(stream, (line) => {
      const { types, n, relay } = wishSchema.parse(JSON.parse(line));
      newest = n;
      stop();
      stop = (): void => undefined;
      const begin = (): void => {
        lines.write(JSON.stringify({ ack: n }));
        stop = this.bus.subscribeLocal(types, (json) => lines.write(json));
      };
      if (!relay) return begin();
      const { ready, end } = this.relay(types, subscriber, (json) => lines.write(json));
      stop = end;
      void ready.then(() => {
        if (newest !== n || stream.destroyed) return;
        begin();
        const local = stop;
        stop = () => {
          local();
          end();
        };
      });
    });
    stream.on('error', () => stream.destroy());
    stream.once('end', () => stream.end());
    return new Promise((resolve) => {
      stream.once('close', () => {
        newest = -1;
        stop();
        resolve();
      });
    });
  }

  /** Hands on what others publish; `ready` when they have been asked for it. */
  private relay(types: readonly EventType[], subscriber: string, write: (json: string) => void): { readonly ready: Promise<void>; readonly end: () => void } {
    let begun = false;
    const hold = this.mesh.hold(types);
    const stop = this.mesh.listen({
      event: (_member, { type, location, json }) => {
        if (begun && location !== subscriber && types.includes(type)) write(json);
      },
      subscribed: (member, kinds) => {
        if (begun) write(JSON.stringify({ member, types: kinds.filter((kind) => types.includes(kind)) }));
      },
    });
    return {
      ready: hold.ready.then(() => { begun = true; }),
      end: () => {
        stop();
        hold.release();
      },
    };
  }
}
