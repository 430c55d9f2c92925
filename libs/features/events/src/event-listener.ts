import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/** A listener this far behind is cut off, bytes: it would take the daemon's memory otherwise. */
const maxBufferedBytes = 32 * 1024 * 1024;

/** Text of an event as bytes, kept for as long as the same event goes to the next listener. */
class LatestFrame {
  private text = '';
  private bytes = Buffer.alloc(0);

  of(text: string): Buffer {
    if (text !== this.text) {
      this.text = text;
      this.bytes = Buffer.from(text);
    }
    return this.bytes;
  }
}

const latest = new LatestFrame();

/** Sends events to one websocket; those that one piece of work publishes leave in one write, and none waits for the next turn of the event loop. */
export class EventListener {
  private corked = false;

  constructor(private readonly socket: WebSocket) {}

  send(json: string): void {
    const { socket } = this;
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > maxBufferedBytes) {
      socket.terminate();
      return;
    }
    this.gather();
    socket.send(latest.of(json), { binary: false });
  }

  private gather(): void {
    // `ws` has no call for this; without the field every event is a write of its own, nothing else changes.
    const raw = (this.socket as WebSocket & { _socket?: Socket })._socket;
    if (this.corked || raw === undefined) return;
    this.corked = true;
    raw.cork();
    process.nextTick(() => {
      this.corked = false;
      raw.uncork();
    });
  }
}
