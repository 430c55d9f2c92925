import type { z } from 'zod';
import type { PeerCaller, Peers } from '#ports';

/** Registers a handler whose request was checked against a schema first: members of other versions call too. */
export function handleChecked<T>(peers: Peers, name: string, schema: z.ZodType<T>, handler: (request: T, caller: PeerCaller) => Promise<object | void>): void {
  peers.handle(name, async (request: unknown, caller: PeerCaller) => handler(schema.parse(request), caller));
}
