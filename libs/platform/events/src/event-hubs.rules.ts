/** How events travel between members, as `server_event_mode` says it. */
export type EventMode = 'full-mesh' | 'hub-server' | 'hub-client';

/** With fewer, all would depend on one: LXD needs as many. */
const leastHubs = 2;

/** `hubs`: numbers of the members with the role `event-hub`. */
export function eventModeOf(self: number, hubs: readonly number[]): EventMode {
  if (hubs.length < leastHubs) return 'full-mesh';
  return hubs.includes(self) ? 'hub-server' : 'hub-client';
}

/**
 * The hub a member that is none hears the others through: one that is connected, not the same for everybody. Null where it hears each member itself.
 */
export function hubFor(self: number, hubs: readonly number[], connected: (memberId: number) => boolean): number | null {
  if (eventModeOf(self, hubs) !== 'hub-client') return null;
  const first = self % hubs.length;
  return [...hubs.slice(first), ...hubs.slice(0, first)].find(connected) ?? null;
}
