import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conflict, internal, notFound, randomHex, unavailable } from '#kernel';
import { VolumeTransfer, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type SnapshotIdentity, type TransferFormat, type TransferStarted, type VolumeSpec } from '#ports';
import { FakeFaults } from './fake-faults.js';
import type { FakeStorageDriver } from './fake-storage.driver.js';

interface Session {
  readonly directory: string;
  readonly server: net.Server;
  readonly sockets: Set<net.Socket>;
  readonly done: Promise<void>;
}

/** Volumes as streams between fake hosts: JSON on a real unix socket, so that the daemon's byte path is the one that runs in production. */
export class FakeVolumeTransfer extends VolumeTransfer {
  private readonly sessions = new Map<string, Session>();

  constructor(private readonly storage: FakeStorageDriver, private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async transferFormats(pool: PoolSpec): Promise<TransferFormat[]> {
    await this.faults.enter('transfer.transferFormats');
    return pool.driver === 'btrfs' ? ['btrfs', 'tar'] : ['tar'];
  }

  /** On btrfs snapshots are the same wherever they hold the same. */
  override async identifySnapshots(volume: VolumeSpec): Promise<SnapshotIdentity[]> {
    await this.faults.enter('transfer.identifySnapshots');
    if (volume.pool.driver !== 'btrfs') return [];
    return [...this.storage.volume(volume).snapshots].map(([snapshot, content]) => ({ snapshot, ids: [`of ${content}`] }));
  }

  override async sendVolume(request: SendVolumeRequest): Promise<TransferStarted> {
    await this.faults.enter('transfer.sendVolume');
    return this.start(async (socket) => {
      const found = this.storage.volume(request.volume);
      const content = request.sourceSnapshot === '' ? found.content : found.snapshots.get(request.sourceSnapshot);
      const snapshots = request.snapshots.map((name) => [name, found.snapshots.get(name)]);
      if (content === undefined || snapshots.some(([, one]) => one === undefined)) throw notFound('No such snapshot');
      const parents = Object.values(request.parents ?? {}).map((name) => found.snapshots.get(name));
      if (parents.includes(undefined)) throw notFound('No such parent');
      socket.end(JSON.stringify({ format: request.format, content, snapshots, parents }));
      await once(socket, 'finish');
    });
  }

  override async receiveVolume(request: ReceiveVolumeRequest): Promise<TransferStarted> {
    await this.faults.enter('transfer.receiveVolume');
    return this.start(async (socket) => {
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      await this.faults.enter('transfer.received');
      const text = Buffer.concat(chunks).toString();
      if (text === '') throw internal('The stream ended without the volume');
      const sent = JSON.parse(text) as { format: string; content: string; snapshots: [string, string][]; parents: string[] };
      if (sent.format !== request.format) throw internal(`Expected "${request.format}", got "${sent.format}"`);
      if (request.refreshToken) {
        const known = new Set([...this.storage.volume(request.volume).snapshots.values(), ...sent.snapshots.map(([, one]) => one)]);
        if (!sent.parents.every((parent) => known.has(parent))) throw internal('Cannot find the parent subvolume');
        this.storage.refresh(request.volume, sent, request.refreshToken);
        return;
      }
      if (this.storage.pools.get(request.volume.pool.name)?.volumes.has(`container/${request.volume.name}`)) {
        throw conflict(`Volume "${request.volume.name}" exists already in pool "${request.volume.pool.name}"`);
      }
      this.storage.adopt(request.volume, { content: sent.content, snapshots: new Map(sent.snapshots), sizeBytes: request.sizeBytes });
    });
  }

  override async waitTransfer(sessionId: string, signal: AbortSignal): Promise<void> {
    await this.faults.enter('transfer.waitTransfer');
    const session = this.sessions.get(sessionId);
    if (session === undefined) throw notFound('No such transfer');
    const abort = (): void => { for (const socket of session.sockets) socket.destroy(unavailable('The transfer was given up')); };
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) throw unavailable('The transfer was given up');
      await session.done;
    } finally {
      signal.removeEventListener('abort', abort);
      abort();
      session.server.close();
      this.sessions.delete(sessionId);
      rmSync(session.directory, { recursive: true, force: true });
    }
  }

  /** A session of anybody's work on the socket. */
  async start(work: (socket: net.Socket) => Promise<void>): Promise<TransferStarted> {
    const directory = mkdtempSync(join(tmpdir(), 'roost-transfer-'));
    const path = join(directory, 'bytes');
    const sockets = new Set<net.Socket>();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      work(socket).then(resolve, (error: Error) => { socket.destroy(); reject(error); });
    });
    promise.catch(() => undefined);
    server.listen(path);
    await once(server, 'listening');
    const sessionId = randomHex(8);
    this.sessions.set(sessionId, { directory, server, sockets, done: promise });
    return { sessionId, path };
  }
}
