import type { TLSSocket } from 'node:tls';
import { randomHex, unavailable } from '#kernel';

/** What is offered by ALPN, alone, on a connection that carries the bytes of one stream. */
export const laneProtocol = 'roost-lane';

const tokenBytes = 16;
const tokenLength = 2 * tokenBytes;
/** For a connection to be made, and to say whose it is. */
const patienceMs = 10_000;

export interface Lane {
  /** What the other side says first on its connection: 32 hexadecimal digits, used once. */
  readonly token: string;
  readonly socket: Promise<TLSSocket>;
  /** Nobody wants it any more; `socket` is rejected, or destroyed. */
  giveUp(): void;
}

/** Connections of other members that carry bytes of streams: the answering side, which sends. */
export class ByteLanes {
  private readonly awaited = new Map<string, (socket: TLSSocket) => void>();

  constructor(private readonly patience = patienceMs) {}

  expect(): Lane {
    const token = randomHex(tokenBytes);
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    promise.catch(() => undefined);
    let taken: TLSSocket | undefined;
    const stop = (): void => {
      clearTimeout(timer);
      this.awaited.delete(token);
    };
    const giveUp = (): void => {
      stop();
      reject(unavailable('The other member did not come for the bytes'));
      taken?.destroy();
    };
    const timer = setTimeout(giveUp, this.patience);
    this.awaited.set(token, (socket) => {
      stop();
      taken = socket;
      resolve(socket);
    });
    return { token, socket: promise, giveUp };
  }

  /** A connection of a member; closed unless it says in time whose bytes it is to carry. */
  accept(socket: TLSSocket): void {
    let said = '';
    const timer = setTimeout(() => socket.destroy(), this.patience);
    const listen = (chunk: Buffer): void => {
      said += chunk.toString('latin1');
      if (said.length < tokenLength) return;
      socket.off('data', listen);
      const take = this.awaited.get(said);
      if (take === undefined) return void socket.destroy();
      clearTimeout(timer);
      // Nothing more is to come from there; read all the same, for the end to be noticed.
      socket.resume();
      take(socket);
    };
    socket.once('close', () => clearTimeout(timer));
    socket.on('data', listen);
  }
}
