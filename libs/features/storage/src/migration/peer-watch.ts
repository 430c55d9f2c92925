import type { WebSocket } from 'ws';
import { unavailable } from '#kernel';

/** How long the other side of a migration may take, in milliseconds. */
export interface PeerPatience {
  /** For a message that says what it has, or takes: nothing is to be done before it. */
  readonly wordMs: number;
  /** Without a byte and without an answer to a ping, on either connection, while files are under way. */
  readonly silenceMs: number;
}

export const peerPatience: PeerPatience = { wordMs: 60_000, silenceMs: 5 * 60_000 };
const pingMs = 15_000;

/**
 * Gives a conversation up whose other side is there no more, or still there and does nothing. LXD answers pings on one connection of the two, and not always
 * on the same: whichever it reads.
 */
export class PeerWatch {
  private readonly timer: NodeJS.Timeout;
  /** Looks since something was heard: by a clock, a process that was stopped would blame the other side. */
  private silentLooks = 0;

  constructor(private readonly sockets: readonly WebSocket[], silenceMs: number, giveUp: (error: Error) => void) {
    const heard = (): void => { this.silentLooks = 0; };
    for (const socket of sockets) for (const event of ['message', 'ping', 'pong'] as const) socket.on(event, heard);
    this.timer = setInterval(() => {
      // One that was told to wait has said more than could be taken.
      if (this.sockets.some(({ isPaused }) => isPaused)) heard();
      if (++this.silentLooks <= silenceMs / pingMs) return this.ping();
      this.stop();
      giveUp(unavailable('The other side has fallen silent'));
    }, pingMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private ping(): void {
    for (const socket of this.sockets) if (socket.readyState === socket.OPEN) socket.ping();
  }
}
