import { createReadStream } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { unavailable } from '#kernel';
import { lengthOf } from '../../terminal/transfers.js';

/** Files as one body of `multipart/form-data`, its length known beforehand unless one is a pipe. */
export function multipart(files: readonly (readonly [string, string])[]): { readonly body: Readable; readonly length: number | undefined; readonly type: string } {
  const boundary = randomBytes(24).toString('hex');
  const heads = files.map(([field, file]) => `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${file.split('/').at(-1)!.replaceAll('"', '')}"\r\nContent-Type: application/octet-stream\r\n\r\n`);
  const tail = `--${boundary}--\r\n`;
  const lengths = files.map(([, file]) => lengthOf(file));
  const length = lengths.reduce((sum, size, index) => (sum === undefined || size === undefined ? undefined : sum + Buffer.byteLength(heads[index]!) + size + 2), Buffer.byteLength(tail) as number | undefined);
  async function* content(): AsyncGenerator<Buffer> {
    for (const [index, [, file]] of files.entries()) {
      yield Buffer.from(heads[index]!);
      yield* createReadStream(file) as AsyncIterable<Buffer>;
      yield Buffer.from('\r\n');
    }
    yield Buffer.from(tail);
  }
  return { body: Readable.from(content(), { objectMode: false }), length, type: `multipart/form-data; boundary=${boundary}` };
}

/** Takes such a body apart, a file after the other. Throws `unavailable` for one that breaks off. */
export async function readMultipart(stream: Readable, boundary: string, onFile: (filename: string, content: Readable) => Promise<void>): Promise<void> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let buffer = Buffer.from('\r\n');
  const more = async (): Promise<boolean> => {
    const { value, done } = await chunks.next();
    if (done === true) return false;
    buffer = Buffer.concat([buffer, value]);
    return true;
  };
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const until = async (mark: Buffer | string): Promise<number> => {
    for (;;) {
      const at = buffer.indexOf(mark);
      if (at >= 0) return at;
      if (!await more()) throw unavailable('The answer ended in the middle of a file');
    }
  };
  buffer = buffer.subarray(await until(delimiter) + delimiter.length);
  for (;;) {
    while (buffer.length < 2) if (!await more()) throw unavailable('The answer ended in the middle of a file');
    if (buffer.subarray(0, 2).toString() === '--') return;
    const end = await until('\r\n\r\n');
    const head = buffer.subarray(0, end).toString('utf8');
    buffer = buffer.subarray(end + 4);
    async function* content(): AsyncGenerator<Buffer> {
      for (;;) {
        const at = buffer.indexOf(delimiter);
        const safe = at >= 0 ? at : Math.max(0, buffer.length - delimiter.length);
        if (safe > 0) {
          yield buffer.subarray(0, safe);
          buffer = buffer.subarray(safe);
        }
        if (at >= 0) return void (buffer = buffer.subarray(delimiter.length));
        if (!await more()) throw unavailable('The answer ended in the middle of a file');
      }
    }
    await onFile(/filename="?([^";\r\n]+)"?/.exec(head)?.[1] ?? 'file', Readable.from(content(), { objectMode: false }));
  }
}
