import type { RawData, WebSocket } from 'ws';

/** What came, in one piece. */
export function binary(data: RawData): Buffer {
  return Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

export function sendControl(control: WebSocket, message: object): void {
  if (control.readyState === control.OPEN) control.send(JSON.stringify(message), { binary: false });
}

const highWater = 1024 * 1024;

/** Sends what is read, no faster than it is taken, and the end of it as an empty text. Returns how to stop. */
export function forwardInput(stdin: NodeJS.ReadStream, socket: WebSocket, filter: (data: Buffer) => Buffer | null = (data) => data): () => void {
  const onData = (data: Buffer | string): void => {
    const passed = filter(Buffer.from(data));
    if (passed === null || passed.length === 0 || socket.readyState !== socket.OPEN) return;
    socket.send(passed, { binary: true }, () => {
      if (stdin.isPaused() && socket.bufferedAmount < highWater) stdin.resume();
    });
    if (socket.bufferedAmount >= highWater) stdin.pause();
  };
  const onEnd = (): void => { if (socket.readyState === socket.OPEN) socket.send('', { binary: false }); };
  stdin.on('data', onData);
  stdin.once('end', onEnd);
  stdin.resume();
  return () => {
    stdin.off('data', onData);
    stdin.off('end', onEnd);
    stdin.pause();
  };
}
