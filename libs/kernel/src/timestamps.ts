let base = performance.timeOrigin;

/** How far the monotonic reckoning may lie ahead of the wall clock's millisecond before it is set by it, milliseconds. */
const driftMs = 2;

/**
 * The wall clock in UTC with microseconds (`2026-11-21T05:12:44.272270Z`), as events and logs of other daemons carry it: `Date` alone knows milliseconds, which
 * makes every event look half a millisecond older than it is. Follows the wall clock when that is set.
 */
export function preciseTimestamp(): string {
  const wall = Date.now();
  let now = base + performance.now();
  if (now < wall || now >= wall + driftMs) {
    base += wall - now;
    now = wall;
  }
  const millisecond = Math.floor(now);
  const micros = Math.floor((now - millisecond) * 1000);
  return `${new Date(millisecond).toISOString().slice(0, -1)}${micros.toString().padStart(3, '0')}Z`;
}
