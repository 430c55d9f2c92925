import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { IntakeStream } from './intake-stream.js';
import { recycle, Slabs } from './slabs.js';

describe('memory for bytes on their way', () => {
  const fill = (slabs: Slabs, count: number): Buffer => {
    for (let left = count; left > 0;) {
      const room = slabs.room();
      const some = Math.min(left, room.length);
      slabs.fill(some);
      left -= some;
      if (slabs.isFull && left > 0) recycle(slabs.cut()!);
    }
    return slabs.cut()!;
  };

  it('is used again once all of its pieces were given back, and not before', () => {
    const slabs = new Slabs();
    // The first is small and never used again.
    recycle(fill(slabs, 64 * 1024));
    const [first, second] = [fill(slabs, 500_000), fill(slabs, 540_000)];
    expect(second.buffer).toBe(first.buffer);
    recycle(second);
    const other = fill(slabs, 1_040_000);
    expect(other.buffer).not.toBe(first.buffer);

    recycle(first);
    recycle(other);

    expect(fill(slabs, 1_040_000).buffer).toBe(first.buffer);
    expect(slabs.room().buffer).toBe(other.buffer);
  });

  it('is not that of others', () => {
    expect(() => recycle(Buffer.alloc(10))).not.toThrow();
  });
});

describe('what a socket brings', () => {
  let server: Server | undefined;
  afterEach(() => void server?.close());

  const from = async (serve: (socket: Socket) => void): Promise<IntakeStream> => {
    server = createServer(serve);
    await new Promise<void>((resolve) => void server!.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return IntakeStream.open(async (onread) => connect({ port, host: '127.0.0.1', onread }));
  };

  it('comes whole and in order, whatever is given back when', async () => {
    const words = Buffer.from(new Uint32Array(3_000_000).map((_, i) => i).buffer);
    const got: Buffer[] = [];
    const memory = new Set<ArrayBufferLike>();
    let late: Buffer | undefined;

    for await (const piece of (await from((socket) => socket.end(words))) as AsyncIterable<Buffer>) {
      got.push(Buffer.from(piece));
      memory.add(piece.buffer);
      if (late) recycle(late);
      late = piece;
    }

    expect(Buffer.concat(got).equals(words)).toBe(true);
    expect(memory.size).toBeLessThan(8);
  });

  it('waits for who reads', async () => {
    let sent = 0;
    const stream = await from((socket) => {
      const send = (): void => {
        if (sent < 100) socket.write(Buffer.alloc(1024 * 1024), () => { sent++; send(); });
        else socket.end();
      };
      send();
    });
    for (let seen = -1; seen !== sent; await sleep(100)) seen = sent;
    expect(sent).toBeLessThan(50);

    let bytes = 0;
    for await (const piece of stream as AsyncIterable<Buffer>) {
      bytes += piece.length;
      recycle(piece);
    }
    expect(bytes).toBe(100 * 1024 * 1024);
  });

  it('fails when the connection does', async () => {
    const stream = await from((socket) => socket.write('begun', () => socket.resetAndDestroy()));

    await expect(stream.toArray()).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});
