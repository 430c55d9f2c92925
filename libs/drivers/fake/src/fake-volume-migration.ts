import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conflict, notFound, randomHex, unavailable } from '#kernel';
import { VolumeMigration, type MigrationFormat, type MigrationPiece, type PieceEndpoint, type ReceivePiecesRequest, type SendPiecesRequest, type VolumeSpec } from '#ports';
import { FakeFaults } from './fake-faults.js';
import type { FakeStorageDriver } from './fake-storage.driver.js';

interface Session {
  readonly directory: string;
  readonly request: SendPiecesRequest | ReceivePiecesRequest;
  readonly sends: boolean;
  readonly received: Map<string, string>;
  readonly ended: PromiseWithResolvers<void>;
  readonly sockets: Set<net.Socket>;
  readonly servers: net.Server[];
  piece: Promise<void> | undefined;
}

/** Pieces of fake volumes on real unix sockets: each one's content, and a byte back. */
export class FakeVolumeMigration extends VolumeMigration {
  private readonly sessions = new Map<string, Session>();
  lastReceived: ReceivePiecesRequest | undefined;

  constructor(private readonly storage: FakeStorageDriver, private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async migrationFormats({ block }: VolumeSpec): Promise<MigrationFormat[]> {
    return [block === true ? 'block' : 'rsync'];
  }

  override async sendPieces(request: SendPiecesRequest): Promise<string> {
    await this.faults.enter('migration.sendPieces');
    this.storage.volume(request.volume);
    return this.begin(request, true);
  }

  override async receivePieces(request: ReceivePiecesRequest): Promise<string> {
    this.lastReceived = request;
    await this.faults.enter('migration.receivePieces');
    return this.begin(request, false);
  }

  override async waitPieces(sessionId: string, signal: AbortSignal): Promise<void> {
    const session = this.of(sessionId);
    const abort = (): void => session.ended.reject(unavailable('The transfer was given up'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await session.ended.promise;
      await this.faults.enter('migration.received');
      if (!session.sends) this.adopt(session.request as ReceivePiecesRequest, session.received);
    } finally {
      signal.removeEventListener('abort', abort);
      this.sessions.delete(sessionId);
      for (const socket of session.sockets) socket.destroy();
      for (const server of session.servers) server.close();
      rmSync(session.directory, { recursive: true, force: true });
    }
  }

  override async openPiece(sessionId: string, piece: MigrationPiece): Promise<PieceEndpoint> {
    const session = this.of(sessionId);
    await this.faults.enter('migration.openPiece');
    const directory = mkdtempSync(join(session.directory, 'p'));
    const [input, output] = [join(directory, 'input'), join(directory, 'output')];
    const [incoming, outgoing] = await Promise.all([this.listen(session, input), this.listen(session, output)]);
    session.piece = session.sends ? this.send(session, piece, incoming.connection, outgoing.connection) : this.receive(session, piece, incoming.connection, outgoing.connection);
    session.piece.catch((error: unknown) => session.ended.reject(error));
    return { input, output };
  }

  override async waitPiece(sessionId: string): Promise<void> {
    await this.of(sessionId).piece;
  }

  override async endPieces(sessionId: string): Promise<void> {
    this.of(sessionId).ended.resolve();
  }

  private begin(request: SendPiecesRequest | ReceivePiecesRequest, sends: boolean): string {
    const sessionId = randomHex(8);
    const ended = Promise.withResolvers<void>();
    ended.promise.catch(() => undefined);
    this.sessions.set(sessionId, { directory: mkdtempSync(join(tmpdir(), 'roost-pieces-')), request, sends, received: new Map(), ended, sockets: new Set(), servers: [], piece: undefined });
    return sessionId;
  }

  private async send({ request }: Session, { snapshot }: MigrationPiece, incoming: Promise<net.Socket>, outgoing: Promise<net.Socket>): Promise<void> {
    const found = this.storage.volume(request.volume);
    const name = snapshot === '' ? (request as SendPiecesRequest).sourceSnapshot : snapshot;
    const content = name === '' ? found.content : found.snapshots.get(name);
    if (content === undefined) throw notFound('No such snapshot');
    (await outgoing).end(JSON.stringify({ content }));
    await readAll(await incoming);
  }

  private async receive({ received }: Session, { snapshot }: MigrationPiece, incoming: Promise<net.Socket>, outgoing: Promise<net.Socket>): Promise<void> {
    const text = await readAll(await incoming);
    (await outgoing).end('.');
    received.set(snapshot, (JSON.parse(text) as { content: string }).content);
  }

  private adopt({ volume, snapshots, sizeBytes, refreshToken }: ReceivePiecesRequest, received: ReadonlyMap<string, string>): void {
    const content = received.get('') ?? '';
    const taken = snapshots.map((name): [string, string] => [name, received.get(name) ?? '']);
    if (refreshToken !== '') return this.storage.refresh(volume, { content, snapshots: taken }, refreshToken);
    if (this.storage.pools.get(volume.pool.name)?.volumes.has(`${volume.kind}/${volume.name}`)) throw conflict(`Volume "${volume.name}" exists already in pool "${volume.pool.name}"`);
    this.storage.adopt(volume, { content, snapshots: new Map(taken), sizeBytes });
  }

  private async listen(session: Session, path: string): Promise<{ readonly connection: Promise<net.Socket> }> {
    const { promise, resolve } = Promise.withResolvers<net.Socket>();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      session.sockets.add(socket);
      socket.on('error', () => undefined);
      resolve(socket);
    });
    session.servers.push(server);
    server.listen(path);
    await once(server, 'listening');
    return { connection: promise };
  }

  private of(sessionId: string): Session {
    const session = this.sessions.get(sessionId);
    if (session === undefined) throw notFound('No such transfer');
    return session;
  }
}

async function readAll(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
