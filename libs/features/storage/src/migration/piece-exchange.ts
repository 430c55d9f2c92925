import type net from 'node:net';
import { VolumeMigration, type MigrationPiece } from '#ports';
import { openReader, openWriter } from '#platform/agent-client';
import { messageOf, unavailable } from '#kernel';
import { drained } from '../transfers/drained.js';
import type { Frames } from './frames.js';

/** What carries a piece's bytes: messages, and the ends between them. */
export type PieceFrames = Pick<Frames, 'take' | 'send' | 'end'>;

/** The conversation one piece is exchanged in, and whether it is sent or received. */
export interface PieceConversation {
  readonly migration: VolumeMigration;
  readonly sessionId: string;
  readonly frames: PieceFrames;
  readonly sends: boolean;
  readonly count: (bytes: number) => void;
}

/**
 * One piece between this host's program and the other side's: bytes both ways, or of formats that only go one way from the sender, each way ended by a text message.
 * Resolves when the program is done and everybody who says something has said that this was it.
 */
export async function exchangePiece({ migration, sessionId, frames, sends, count }: PieceConversation, piece: MigrationPiece): Promise<void> {
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
    const bothWays = piece.format === 'rsync';
    if (sends && !bothWays) writer.end();
    await Promise.all([
      migration.waitPiece(sessionId), sends || bothWays ? give(reader, frames, count) : undefined, !sends || bothWays ? take(frames, writer, count) : undefined,
    ]);
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
