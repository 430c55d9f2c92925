import { getEventListeners, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { internal, unavailable } from '#kernel';
import type { VolumeSpec } from '#ports';
import { FakeFaults, FakeStorageDriver, FakeVolumeMigration } from '#drivers/fake';
import { Frames } from './frames.js';
import { ControlChannel } from './control-channel.js';
import { DialledConnections, type MigrationConnections } from './migration-connections.js';
import { encodeHeader } from './migration-messages.rules.js';
import { ownRsync } from './negotiation.rules.js';
import { peerPatience } from './peer-watch.js';
import { VolumeArrival } from './volume-arrival.js';
import { VolumeDeparture, type DepartingVolume } from './volume-departure.js';

const volume: VolumeSpec = { pool: { name: 'p1', driver: 'dir', config: {} }, kind: 'container', name: 'c1' };
const departing: DepartingVolume = { name: 'c1', volume, sourceSnapshot: '', snapshots: [], idmap: [], index: {}, compress: true, bandwidth: '', inconsistent: false };
const impatient = { ...peerPatience, wordMs: 20 };

/** A conversation over real websockets, whose other side is the test. */
describe('a conversation with another server', () => {
  let faults: FakeFaults;
  let migration: FakeVolumeMigration;
  let listener: WebSocketServer;
  let theirs: { readonly control: WebSocket; readonly fs: WebSocket };
  let source: { wait(): Promise<MigrationConnections>; close(): void };
  let told: ControlChannel;

  beforeEach(async () => {
    faults = new FakeFaults();
    const storage = new FakeStorageDriver(faults);
    await storage.createPool(volume.pool);
    await storage.createVolume({ volume, imageFingerprint: '', sizeBytes: 0 });
    migration = new FakeVolumeMigration(storage, faults);
    listener = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(listener, 'listening');
    const [control, fs] = [await pair(), await pair()];
    theirs = { control: control.theirs, fs: fs.theirs };
    told = new ControlChannel(theirs.control);
    source = {
      wait: async () => ({ control: control.ours, fs: fs.ours }),
      close: () => { for (const { ours } of [control, fs]) ours.close(); },
    };
  });
  afterEach(() => {
    for (const socket of listener.clients) socket.terminate();
    listener.close();
  });

  async function pair(): Promise<{ ours: WebSocket; theirs: WebSocket }> {
    const connection = once(listener, 'connection');
    const ours = new WebSocket(`ws://127.0.0.1:${(listener.address() as { port: number }).port}`);
    ours.on('error', () => {});
    await once(ours, 'open');
    ours.pause();
    return { ours, theirs: (await connection)[0] as WebSocket };
  }

  const header = (indexHeaderVersion: number) => encodeHeader({ fs: 0, idmap: [], snapshotNames: [], snapshots: [], rsyncFeatures: ownRsync, indexHeaderVersion });

  /** What the other side has said, and taken, when it says nothing any more. */
  const untilSilent: Record<string, () => Promise<void>> = {
    'its header': async () => { await told.takeHeader(); },
    'its answer to the index': async () => {
      await told.takeHeader();
      theirs.control.send(header(1));
      await new Frames(theirs.fs).takeText(100_000);
    },
    'its verdict': async () => {
      await told.takeHeader();
      theirs.control.send(header(0));
      const files = new Frames(theirs.fs);
      await files.takeText(100_000);
      await files.end();
    },
  };

  it.each(Object.keys(untilSilent))('ends when it is cancelled before the other side has given %s', async (word) => {
    const abort = new AbortController();
    const sent = expect(new VolumeDeparture(migration, source).run(departing, { signal: abort.signal, progress: () => {} })).rejects.toThrow('The migration was given up');
    await untilSilent[word]!();

    abort.abort();

    await sent;
    await expect(told.verdict()).rejects.toThrow('The migration was given up');
  });

  it.each(['its header', 'its answer to the index'])('ends when the volume’s taker never gives %s', async (word) => {
    const sent = expect(new VolumeDeparture(migration, source, impatient).run(departing, { signal: new AbortController().signal, progress: () => {} })).rejects.toThrow('The other side says nothing');
    await untilSilent[word]!().catch(() => undefined);

    await sent;
  });

  it('ends when the volume’s sender says nothing', async () => {
    await expect(new VolumeArrival(migration, source, () => {}, impatient).offer()).rejects.toThrow('The other side says nothing');
  });

  it('ends when the volume’s sender does not describe it', async () => {
    const arrival = new VolumeArrival(migration, source, () => {}, impatient);
    const offered = arrival.offer();
    theirs.control.send(header(1));
    await offered;

    await expect(arrival.accept({ volume, snapshots: [], refresh: false })).rejects.toThrow('The other side says nothing');
  });

  it('ends with what the other side says of its end, where ours only sees that it has gone', async () => {
    faults.fail('migration.received', 1, unavailable('rsync: connection unexpectedly closed'));
    const sent = expect(new VolumeDeparture(migration, source).run(departing, { signal: new AbortController().signal, progress: () => {} })).rejects.toThrow('No space left on device');
    await untilSilent['its verdict']!();
    await new Promise((resolve) => setTimeout(resolve, 50));

    told.fail(internal('No space left on device'));

    await sent;
  });

  it('ends with our reason where the other side gives none', async () => {
    faults.fail('migration.received', 1, unavailable('rsync: connection unexpectedly closed'));
    const sent = expect(new VolumeDeparture(migration, source).run(departing, { signal: new AbortController().signal, progress: () => {} })).rejects.toThrow('rsync: connection unexpectedly closed');
    await untilSilent['its verdict']!();

    await sent;
  });

  it('leaves nothing with the operation it was part of', async () => {
    const { signal } = new AbortController();
    faults.fail('migration.receivePieces', 1, internal('No space left on device'));

    await expect(new VolumeArrival(migration, source, () => {}).receive({ name: 'c2', volume, sizeBytes: 0, refreshToken: '' }, signal)).rejects.toThrow('No space left on device');

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

/** A server that takes connections and answers none. */
describe('a connection to another server', () => {
  let silent: Server;
  let taken: Promise<Socket>;
  let dialled: (timeoutMs?: number) => DialledConnections;
  beforeEach(async () => {
    const connection = Promise.withResolvers<Socket>();
    taken = connection.promise;
    silent = createServer((socket) => {
      socket.resume();
      socket.on('error', () => {});
      connection.resolve(socket);
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const operation = `http://127.0.0.1:${(silent.address() as { port: number }).port}/1.0/operations/x`;
    dialled = (timeoutMs) => new DialledConnections({ operation, secrets: { control: 'a', fs: 'b' }, certificate: '' }, { http: '', https: '', ignoreHosts: '' }, 'spec', timeoutMs);
  });
  afterEach(() => { silent.close(); });

  it('is given up when there is no answer', async () => {
    await expect(dialled(20).wait(new AbortController().signal)).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('Opening handshake has timed out') });
  });

  it('is closed when it is cancelled', async () => {
    const abort = new AbortController();
    const waiting = expect(dialled().wait(abort.signal)).rejects.toThrow('cancelled by hand');
    const connection = await taken;
    const closed = once(connection, 'close');

    abort.abort(internal('cancelled by hand'));

    await waiting;
    await closed;
  });
});
