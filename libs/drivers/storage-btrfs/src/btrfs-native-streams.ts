import { close } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { invalid, unavailable } from '#kernel';
import { makePipe, type BtrfsStream, type BtrfsSubvolumes, type BtrfsTools } from '#host';
import { NativeStreams, type BuildVolumeRequest, type PieceArrival } from '#ports';

const closeAsync = promisify(close);

/** Where the writable volume and its snapshots are now. */
export interface Received {
  readonly volume: string;
  readonly snapshots: ReadonlyMap<string, string>;
}

export interface BtrfsNativeStreamsOptions {
  readonly streams: BtrfsStream;
  readonly tools: BtrfsTools;
  readonly subvolumes: BtrfsSubvolumes;
  /** Makes a volume of what `fill` leaves in a scratch subvolume. */
  readonly make: (request: BuildVolumeRequest, fill: (scratch: string) => Promise<Received>) => Promise<void>;
  readonly writable: (scratch: string, received: string) => Promise<string>;
}

/** Pieces of volumes as btrfs streams, one stream each, as backups have them. */
export class BtrfsNativeStreams extends NativeStreams {
  constructor(private readonly options: BtrfsNativeStreamsOptions) {
    super();
  }

  override async sendPiece({ path, parent }: { readonly path: string; readonly parent: string | null }, fd: number, signal: AbortSignal): Promise<void> {
    await this.options.streams.send({ path, parent, fd, signal });
  }

  override identify(path: string): Promise<string> {
    return this.options.tools.subvolumeUuid(path);
  }

  override async build(request: BuildVolumeRequest, feed: (snapshot: string | null, fd: number) => Promise<void>, arrival: PieceArrival, signal: AbortSignal): Promise<void> {
    await this.options.make(request, async (scratch) => {
      const snapshots = new Map<string, string>();
      for (const snapshot of request.snapshots) {
        snapshots.set(snapshot, `${scratch}/${await this.receiveOne(scratch, (fd) => feed(snapshot, fd), signal)}`);
      }
      const received = await this.receiveOne(scratch, (fd) => feed(null, fd), signal);
      // Later pieces come as differences to these, so that none changes before all are there.
      for (const [snapshot, path] of [...snapshots, [null, `${scratch}/${received}`] as const]) await this.settle(snapshot, path, arrival);
      return { volume: await this.options.writable(scratch, received), snapshots };
    });
  }

  private async settle(snapshot: string | null, path: string, { check, rewrites }: PieceArrival): Promise<void> {
    await check(path);
    const rewrite = rewrites.get(snapshot);
    if (rewrite === undefined) return;
    // A clone to write to: the piece itself would keep the id that says it holds what the other side has.
    const { subvolumes } = this.options;
    const rewritten = `${path}.rewritten`;
    await subvolumes.snapshot(path, rewritten);
    await rewrite(rewritten);
    await subvolumes.setReadOnly(rewritten, true);
    await subvolumes.destroy(path);
    await rename(rewritten, path);
  }

  /** The name it came by, which only has to differ from the others'. */
  private async receiveOne(scratch: string, feed: (fd: number) => Promise<void>, signal: AbortSignal): Promise<string> {
    const before = new Set(await readdir(scratch));
    const pipe = makePipe();
    const abort = new AbortController();
    const giveUp = (): void => abort.abort(unavailable('The stream was given up'));
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    const fed = feed(pipe.write).finally(() => closeAsync(pipe.write));
    const received = this.options.streams.receive({ into: scratch, fd: pipe.read, signal: abort.signal }).finally(() => closeAsync(pipe.read));
    // A receiver that has failed reads no more, and its writer ends by itself; the other way round it must be told.
    let refused = false;
    received.catch(() => { refused = !abort.signal.aborted; });
    fed.catch(giveUp);
    const [feeding, receiving] = await Promise.allSettled([fed, received]);
    signal.removeEventListener('abort', giveUp);
    signal.throwIfAborted();
    if (receiving.status === 'rejected' && refused) throw invalid('The backup holds a stream that cannot be received', { cause: receiving.reason });
    if (feeding.status === 'rejected') throw feeding.reason as Error;
    if (receiving.status === 'rejected') throw receiving.reason as Error;
    const [name, ...more] = (await readdir(scratch)).filter((entry) => !before.has(entry));
    if (name === undefined || more.length > 0 || !(await this.options.subvolumes.isSubvolume(`${scratch}/${name}`))) throw invalid('The backup holds a stream that is not of one volume');
    return name;
  }
}
