import type { OnReadOpts } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { unavailable } from '#kernel';
import { ByteIntake } from '#platform/bytes';
import { laneProtocol } from './byte-lanes.js';

const connectMs = 5000;

/** Who takes what a lane brings. */
export interface LaneListener {
  /** Memory that is used again (`recycle`). False when no more is wanted until `resume`. */
  bytes(part: Buffer): boolean;
  /** The connection is gone. */
  closed(): void;
}

/** The receiving end of a lane. */
export class LaneReader {
  /** Bytes handed over so far. */
  received = 0;
  private readonly socket: TLSSocket;
  private readonly intake: ByteIntake;

  private constructor(options: ConnectionOptions, listener: LaneListener) {
    this.intake = new ByteIntake((piece) => {
      this.received += piece.length;
      return listener.bytes(piece);
    });
    const all: ConnectionOptions & { onread: OnReadOpts } = { ...options, onread: this.intake.onread, ALPNProtocols: [laneProtocol], timeout: connectMs };
    this.socket = connect(all);
    this.socket.once('timeout', () => this.socket.destroy(unavailable('i/o timeout')));
    this.socket.on('error', () => undefined);
    this.socket.once('close', () => {
      this.intake.flush();
      listener.closed();
    });
  }

  /** @throws `unavailable` when the other member does not take the connection in 5 s. */
  static async open(options: ConnectionOptions, token: string, listener: LaneListener): Promise<LaneReader> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const reader = new LaneReader(options, listener);
    reader.socket.once('secureConnect', resolve);
    reader.socket.once('error', (error) => reject(unavailable(`No connection for the bytes: ${error.message}`, { cause: error })));
    reader.socket.once('close', () => reject(unavailable('No connection for the bytes')));
    await promise;
    reader.socket.setTimeout(0);
    reader.socket.write(token);
    return reader;
  }

  resume(): void {
    this.intake.resume(this.socket);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
