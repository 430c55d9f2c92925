import { describe, expect, it } from 'vitest';
import { LocalMember, SilentLogger } from '#kernel';
import { LeaseLiveness } from './lease-liveness.js';
import { bootTimeMs, PauseWatch } from './pause-watch.js';
import { isOnlineAt, lastSeen } from './presence.rules.js';

describe('presence', () => {
  it('of a member that holds its lease is as new as the contact with the log', () => {
    expect(lastSeen({ held: true, goneMs: 0 }, 5000)).toBe(5000);
    expect(lastSeen({ held: false, goneMs: 3000 }, 5000)).toBe(3000);
    expect(lastSeen(undefined, 5000)).toBeNull();
  });

  it('lasts until the threshold has passed', () => {
    expect(isOnlineAt(10_000, 30_000, 20_000)).toBe(true);
    expect(isOnlineAt(10_000, 30_001, 20_000)).toBe(false);
    expect(isOnlineAt(null, 0, 20_000)).toBe(false);
  });
});

describe('a member that stands alone', () => {
  it('sees itself and no leader', () => {
    const liveness = new LeaseLiveness({ member: new LocalMember(), logger: new SilentLogger(), offlineThresholdMs: () => 20_000 });

    expect([liveness.isOnline(1), liveness.isOnline(2), liveness.leaderId(), liveness.lastSeenMs(2)]).toEqual([true, false, null, null]);
  });
});

describe('the watch for pauses', () => {
  it('tells of a gap longer than a lease lasts, once', () => {
    let now = 0;
    const watch = new PauseWatch(5000, () => now);
    const told: number[] = [];
    watch.onPause((ms) => told.push(ms));
    watch.start();
    for (const at of [1000, 2000, 9000, 10_000, 14_900]) {
      now = at;
      watch.check();
    }
    watch.stop();

    expect(told).toEqual([7000]);
  });

  it('counts by a clock that goes on while the machine sleeps', () => {
    expect(bootTimeMs()).toBeGreaterThan(0);
  });
});
