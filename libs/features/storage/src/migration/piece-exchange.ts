import type net from 'node:net';
import { VolumeMigration, type MigrationPiece } from '#ports';
import { openReader, openWriter } from '#platform/agent-client';
import { messageOf, unavailable } from '#kernel';
import { drained } from '../transfers/drained.js';
import type { Frames } from './frames.js';

/** What carries a piece's bytes: messages, and the ends between them. */
export type PieceFrames = Pick<Frames, 'take' | 'send' | 'end'>;

/**
 * One piece between this host's program and the other side's: bytes both ways, each way ended by a text message. Resolves when the program is done and both
 * sides have said that they are.
 */
export async function exchangePiece(migration: VolumeMigration, sessionId: string, piece: MigrationPiece, frames: PieceFrames, count: (bytes: number) => void): Promise<void> {
  const { input, output } = await migration.openPiece(sessionId, piece);
  // A program that has failed takes its pipes along: why it has is what matters.
  const gone = async (error: unknown): Promise<never> => {
    if (messageOf(error).includes('ENOENT')) await migration.waitPiece(sessionId);
    throw error;
  };
  const reader = await openReader(output).catch(gone);
  const writer = await openWriter(input).catch((error: unknown) => {
    reader.destroy();
    return gone(error);
  });
  // How the program ended is told by the agent; a pipe that breaks only says that it has.
  reader.on('error', () => undefined);
  writer.on('error', () => undefined);
  try {
    await Promise.all([migration.waitPiece(sessionId), give(reader, frames, count), take(frames, writer, count)]);
  } finally {
    reader.destroy();
    writer.destroy();
  }
}

async function give(reader: net.Socket, frames: PieceFrames, count: (bytes: number) => void): Promise<void> {
  for await (const chunk of reader) {
    count((chunk as Buffer).length);
    await frames.send(chunk as Buffer, true);
  }
  await frames.end();
}

async function take(frames: PieceFrames, writer: net.Socket, count: (bytes: number) => void): Promise<void> {
  for (;;) {
    const frame = await frames.take();
    if (frame === null) throw unavailable('The other side has hung up');
    if (!frame.binary) break;
    count(frame.data.length);
    // A program that has ended reads no more; what still comes leads to the end of the stream.
    if (!writer.writable || writer.write(frame.data)) continue;
    await drained(writer);
  }
  writer.end();
}
