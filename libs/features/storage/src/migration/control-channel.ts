import type { WebSocket } from 'ws';
import { internal, messageOf, unavailable } from '#kernel';
import { Frames } from './frames.js';
import { decodeControl, decodeHeader, encodeControl, encodeHeader, type MigrationHeader } from './migration-messages.rules.js';

/** Thousands of snapshots with their configuration fit; what does not was made to fill the memory. */
const messageBytesMax = 32 * 1024 * 1024;
const textBytesMax = 16 * 1024;

/** The websocket of messages: one header each way, then how it ended. */
export class ControlChannel {
  private readonly frames: Frames;

  constructor(socket: WebSocket) {
    this.frames = new Frames(socket);
  }

  async sendHeader(header: MigrationHeader): Promise<void> {
    await this.frames.send(encodeHeader(header), true);
  }

  /** @throws `internal` with what the other side says instead, `unavailable` when it goes. */
  async takeHeader(): Promise<MigrationHeader> {
    const data = await this.take();
    try {
      return decodeHeader(data);
    } catch (error) {
      throw refusalIn(data) ?? error;
    }
  }

  /** Resolves when the other side says that it has everything. @throws `internal` with what it says instead, `unavailable` when it goes. */
  async verdict(): Promise<void> {
    const { success, message = '' } = decodeControl(await this.take());
    if (!success) throw internal(message.slice(0, textBytesMax) || 'The other side has failed');
  }

  async succeed(): Promise<void> {
    await this.frames.send(encodeControl({ success: true, message: '' }), true);
  }

  /** The other side may have gone, or read no more: nobody waits for it to be told. */
  fail(error: unknown): void {
    this.frames.send(encodeControl({ success: false, message: messageOf(error) }), true).catch(() => undefined);
  }

  private async take(): Promise<Buffer> {
    const frame = await this.frames.take();
    if (frame === null) throw unavailable('The other side has hung up');
    if (!frame.binary || frame.data.length > messageBytesMax) throw internal('Expected a message of the migration');
    return frame.data;
  }
}

function refusalIn(data: Buffer): Error | undefined {
  try {
    const { success, message = '' } = decodeControl(data);
    return success ? undefined : internal(message.slice(0, textBytesMax) || 'The other side has failed');
  } catch {
    return undefined;
  }
}
