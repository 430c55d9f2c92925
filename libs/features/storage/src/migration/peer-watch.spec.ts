import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { PeerWatch } from './peer-watch.js';

/** As much of a websocket as is watched: it answers pings while somebody is there. */
class Peer extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  isPaused = false;
  answers = true;
  pings = 0;

  ping(): void {
    this.pings++;
    if (this.answers) this.emit('pong');
  }
}

describe('the other side of a migration', () => {
  let peers: Peer[];
  let reasons: string[];
  let watch: PeerWatch;
  beforeEach(() => {
    vi.useFakeTimers();
    peers = [new Peer(), new Peer()];
    reasons = [];
    watch = new PeerWatch(peers as unknown as WebSocket[], 60_000, ({ message }) => reasons.push(message));
  });
  afterEach(() => {
    watch.stop();
    vi.useRealTimers();
  });

  it('is there as long as it answers on one connection', () => {
    peers[0]!.answers = false;
    vi.advanceTimersByTime(600_000);

    expect(reasons).toEqual([]);
  });

  it('has fallen silent when it neither says nor answers anything, and is told of once', () => {
    for (const peer of peers) peer.answers = false;
    vi.advanceTimersByTime(60_000);
    expect(reasons).toEqual([]);
    peers[1]!.emit('message', Buffer.from('x'), true);
    vi.advanceTimersByTime(60_000);
    expect(reasons).toEqual([]);

    vi.advanceTimersByTime(60_000);

    expect(reasons).toEqual(['The other side has fallen silent']);
  });

  it('is not blamed for what it was told to wait with, nor asked where it has gone', () => {
    for (const peer of peers) peer.answers = false;
    Object.assign(peers[0]!, { readyState: 3 });
    Object.assign(peers[1]!, { isPaused: true });
    vi.advanceTimersByTime(600_000);

    expect([reasons, peers[0]!.pings]).toEqual([[], 0]);
  });
});
