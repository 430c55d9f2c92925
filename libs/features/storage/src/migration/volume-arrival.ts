import { VolumeMigration, type MigrationFormat, type ShiftedPiece, type VolumeSpec } from '#ports';
import { ownEndpoint } from '#platform/agent-client';
import { byteCounter } from '../transfers/byte-counter.js';
import { ControlChannel } from './control-channel.js';
import { Frames } from './frames.js';
import { volumeConfigIn, writeIndexAnswer } from './index-header.rules.js';
import type { MigrationHeader, WireSnapshot } from './migration-messages.rules.js';
import { commonFeatures, formatOfOffer, formatPart, indexVersion, snapshotsOf } from './negotiation.rules.js';
import { exchangePiece } from './piece-exchange.js';
import { PeerWatch, peerPatience, type PeerPatience } from './peer-watch.js';
import { abortWith, reasonOf, tellingReason, untilAborted, untilSaid } from './until-aborted.js';
import type { ConnectionSource } from './volume-departure.js';

/** The description of thousands of snapshots fits. */
const indexBytesMax = 64 * 1024 * 1024;

/** What comes, as its server describes it. */
export interface OfferedVolume {
  readonly header: MigrationHeader;
  /** Oldest first. */
  readonly snapshots: readonly WireSnapshot[];
}

/** What of it is taken. */
export interface AcceptedVolume {
  /** What it becomes. */
  readonly volume: VolumeSpec;
  /** Some of those offered, in their order. */
  readonly snapshots: readonly WireSnapshot[];
  readonly refresh: boolean;
}

export interface ReceivedVolume {
  /** As progress shows it. */
  readonly name: string;
  readonly volume: VolumeSpec;
  readonly sizeBytes: number;
  /** Refreshes a volume that is there, see `ReceiveVolumeRequest`; empty for one that is not. */
  readonly refreshToken: string;
  /** What of it has other ids in its files than a container's own, which it gets here. */
  readonly shifted?: readonly ShiftedPiece[];
}

/**
 * A volume that comes from another server: first what it is, then its files, then our word on it. `end` is called in any case, and ends whatever is still under way.
 * Nothing is said or taken twice: asked again, each answers as before.
 */
export class VolumeArrival {
  private readonly abort = new AbortController();
  private control: ControlChannel | undefined;
  private frames: Frames | undefined;
  private header: MigrationHeader | undefined;
  private accepted: AcceptedVolume | undefined;
  private index: string | null = null;
  private offered: Promise<OfferedVolume> | undefined;
  private agreed: Promise<void> | undefined;
  private received: Promise<void> | undefined;
  private peer: PeerWatch | undefined;
  private word: Promise<void> | undefined;
  private format: MigrationFormat = 'rsync';

  constructor(
    private readonly migration: VolumeMigration,
    private readonly connections: ConnectionSource,
    private readonly progress: (metadata: Record<string, unknown>) => void,
    private readonly patience: PeerPatience = peerPatience,
  ) {}

  /** Waits for the other side. */
  offer(): Promise<OfferedVolume> {
    return (this.offered ??= this.takeOffer());
  }

  accept(accepted: AcceptedVolume): Promise<void> {
    return (this.agreed ??= this.answer(accepted));
  }

  /** Its configuration, as its server has told it before the files; null where that knows of no such thing. @throws `internal` for what nobody can read. */
  volumeConfig(): Record<string, string> | null {
    return this.index === null ? null : volumeConfigIn(this.index);
  }

  /** The volume is there, whole, when this resolves. */
  receive(received: ReceivedVolume, signal: AbortSignal): Promise<void> {
    return (this.received ??= this.take(received, signal));
  }

  /** Our last word: success without an error. */
  async end(error?: unknown): Promise<void> {
    if (error === undefined) await this.control?.succeed().catch(() => undefined);
    else this.control?.fail(error);
    this.peer?.stop();
    this.abort.abort(error);
    this.connections.close();
  }

  private async takeOffer(): Promise<OfferedVolume> {
    const { control, fs } = await this.connections.wait(this.abort.signal);
    this.control = new ControlChannel(control);
    this.frames = new Frames(fs);
    this.peer = new PeerWatch([control, fs], this.patience.silenceMs, (error) => this.abort.abort(error));
    const header = await untilSaid(this.control.takeHeader(), this.abort.signal, this.patience.wordMs);
    this.header = header;
    return { header, snapshots: snapshotsOf(header) };
  }

  private async answer(accepted: AcceptedVolume): Promise<void> {
    const { control, frames, header } = this.begun();
    const { volume, snapshots, refresh } = accepted;
    this.accepted = accepted;
    this.format = formatOfOffer(header, await this.migration.migrationFormats(volume));
    const version = Math.min(header.indexHeaderVersion ?? 0, indexVersion);
    const rsyncFeatures = this.format === 'rsync' ? commonFeatures(header.rsyncFeatures) : commonFeatures(undefined);
    const answer: MigrationHeader = {
      ...formatPart(this.format, rsyncFeatures), idmap: header.idmap, snapshotNames: snapshots.map(({ name }) => name), snapshots, predump: false, refresh, indexHeaderVersion: version,
    };
    await untilAborted(control.sendHeader(answer), this.abort.signal);
    // All it may say from now on is that it cannot go on.
    this.word = control.verdict();
    this.word.catch((error: unknown) => this.abort.abort(error));
    if (version === 0) return;
    this.index = await untilSaid(frames.takeText(indexBytesMax), this.abort.signal, this.patience.wordMs);
    await frames.send(writeIndexAnswer(refresh), true);
    await frames.end();
  }

  private async take({ name, volume, sizeBytes, refreshToken, shifted = [] }: ReceivedVolume, signal: AbortSignal): Promise<void> {
    const { abort } = this;
    const release = abortWith(signal, abort);
    try {
      const snapshots = (this.accepted?.snapshots ?? []).map((snapshot) => snapshot.name);
      const sessionId = await this.migration.receivePieces({ volume, snapshots, sizeBytes, refreshToken, shifted, ...ownEndpoint });
      const held = this.migration.waitPieces(sessionId, abort.signal);
      held.catch((error: unknown) => abort.abort(error));
      try {
        await this.pieces(sessionId, snapshots, name);
        await this.migration.endPieces(sessionId);
        await held;
      } catch (error) {
        abort.abort(error);
        await held.catch(() => undefined);
        const reason = reasonOf(error, abort.signal);
        throw signal.aborted || this.word === undefined ? reason : await tellingReason(reason, this.word);
      }
    } finally {
      release();
    }
  }

  private async pieces(sessionId: string, snapshots: readonly string[], name: string): Promise<void> {
    const { frames, header } = this.begun();
    const { xattrs = false, delete: deletes = false, compress = false } = commonFeatures(header.rsyncFeatures);
    const count = byteCounter((text) => this.progress({ fs_progress: `${name}: ${text}` }));
    for (const snapshot of [...snapshots, '']) {
      const piece = { snapshot, format: this.format, xattrs, delete: deletes, compress, bandwidth: '', inconsistent: false };
      await untilAborted(exchangePiece({ migration: this.migration, sessionId, frames, sends: false, count }, piece), this.abort.signal);
    }
  }

  private begun(): { readonly control: ControlChannel; readonly frames: Frames; readonly header: MigrationHeader } {
    return { control: this.control!, frames: this.frames!, header: this.header! };
  }
}
