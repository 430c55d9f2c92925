import type net from 'node:net';
import type { Writable } from 'node:stream';
import { WebSocket } from 'ws';

/** Bytes handed to the websocket but not to the kernel yet, above which the command waits. */
const highWaterBytes = 4 * 1024 * 1024;
const lowWaterBytes = 1024 * 1024;

/** A websocket to a command's input: binary frames are bytes, a text frame or the end of the connection is the end of input. */
export function pumpInput(source: WebSocket, target: net.Socket): void {
  const end = (): void => {
    if (!target.destroyed) target.end();
  };
  source.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary) return end();
    if (target.destroyed || target.writableEnded) return;
    if (!target.write(data)) {
      source.pause();
      target.once('drain', () => source.resume());
    }
  });
  source.once('close', end);
  // The command closed its input; what still comes is dropped.
  target.on('error', () => source.resume());
  target.on('close', () => source.resume());
}

/**
 * A terminal: bytes both ways. The end of either direction does not end the other; the command's exit does. `lastWords` go to the client
 * after everything else; it must not reject.
 */
export function pumpTerminal(terminal: net.Socket, client: WebSocket, lastWords: Promise<string> = Promise.resolve('')): Promise<void> {
  client.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary || terminal.destroyed) return;
    if (!terminal.write(data)) {
      client.pause();
      terminal.once('drain', () => client.resume());
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  let clientGone = false;
  terminal.on('data', (chunk: Buffer) => {
    if (clientGone || client.readyState !== WebSocket.OPEN) return;
    client.send(chunk, { binary: true, compress: false }, () => {
      if (terminal.isPaused() && client.bufferedAmount < lowWaterBytes) terminal.resume();
    });
    if (client.bufferedAmount > highWaterBytes) terminal.pause();
  });
  client.once('close', () => {
    // The program goes on; its output is read and dropped, or it would stop at a full terminal.
    clientGone = true;
    terminal.resume();
  });
  const end = async (): Promise<void> => {
    const words = await lastWords;
    if (client.readyState !== WebSocket.OPEN) return resolve();
    if (words !== '') client.send(Buffer.from(words), { binary: true, compress: false });
    client.send('', { binary: false, compress: false }, () => resolve());
  };
  let ended = false;
  const endOnce = (): void => {
    if (ended) return;
    ended = true;
    void end();
  };
  terminal.once('end', endOnce);
  terminal.once('close', endOnce);
  terminal.once('error', endOnce);
  if (terminal.readableEnded) endOnce();
  return promise;
}

/** Output that goes to a file; resolves when all of it is there. */
export function drain(source: net.Socket, target: Writable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  source.once('error', () => source.destroy());
  target.once('finish', () => resolve());
  target.once('error', () => {
    source.resume();
    resolve();
  });
  if (source.readableEnded) target.end();
  else source.pipe(target);
  return promise;
}
