import { unavailable } from '#kernel';
import { recycle } from '#platform/bytes';
import type { Lane } from './byte-lanes.js';

/** The sending end of a lane. */
export class LaneWriter {
  private bytes = 0;

  constructor(private readonly lane: Lane) {}

  /** Hears once that the connection broke, or was never made. Not after `end`. */
  onLost(listener: (error: Error) => void): void {
    this.lane.socket.then((socket) => socket.once('close', () => listener(unavailable('The other member went away'))), listener);
  }

  /** `done` when it was handed to the kernel; it may lie in memory that is used again. */
  write(chunk: Buffer, done: () => void): void {
    this.bytes += chunk.length;
    this.lane.socket.then((socket) => socket.write(chunk, (error) => {
      recycle(chunk);
      if (!error) done();
    }), () => undefined);
  }

  /** What was written goes out. Answers with how many bytes that are in all. */
  async end(): Promise<number> {
    (await this.lane.socket).end();
    return this.bytes;
  }

  destroy(): void {
    this.lane.giveUp();
  }
}
