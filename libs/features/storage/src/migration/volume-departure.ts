import { isTrueOrEmpty } from '#kernel';
import { VolumeMigration, type MigrationFormat, type VolumeSpec } from '#ports';
import { ownEndpoint } from '#platform/agent-client';
import type { Config } from '../rules/pool-config.rules.js';
import type { TransferWatch } from '../transfers/volume-carrier.js';
import { byteCounter } from '../transfers/byte-counter.js';
import { ControlChannel } from './control-channel.js';
import { Frames } from './frames.js';
import type { MigrationConnections } from './migration-connections.js';
import { type MigrationHeader, type WireIdmapEntry, type WireSnapshot } from './migration-messages.rules.js';
import { readIndexAnswer, writeIndex } from './index-header.rules.js';
import { commonFeatures, formatOfAnswer, formatPart, indexVersion, ownRsync, snapshotsOf } from './negotiation.rules.js';
import { exchangePiece } from './piece-exchange.js';
import { PeerWatch, peerPatience, type PeerPatience } from './peer-watch.js';
import { abortWith, reasonOf, tellingReason, untilAborted, untilSaid } from './until-aborted.js';

/** Where connections come from: somebody else's visit, or ours. */
export interface ConnectionSource {
  wait(signal: AbortSignal): Promise<MigrationConnections>;
  close(): void;
}

const answerBytesMax = 64 * 1024;

/** A volume that is sent to another server. */
export interface DepartingVolume {
  /** As progress shows it. */
  readonly name: string;
  readonly volume: VolumeSpec;
  /** Send this snapshot's content as the volume's; empty for the present one. */
  readonly sourceSnapshot: string;
  /** Those that go along, oldest first. */
  readonly snapshots: readonly WireSnapshot[];
  /** How ids lie in the files. */
  readonly idmap: readonly WireIdmapEntry[];
  /** All that is known of it, in LXD's form. */
  readonly index: Readonly<Record<string, unknown>>;
  /** See `rsyncOf`. */
  readonly compress: boolean;
  readonly bandwidth: string;
  /** Files that vanish meanwhile do no harm. */
  readonly inconsistent: boolean;
}

/** How volumes of a pool go to other servers: `rsync.compression` and `rsync.bwlimit`. */
export function rsyncOf(pool: Config): Pick<DepartingVolume, 'compress' | 'bandwidth'> {
  const { 'rsync.compression': compression, 'rsync.bwlimit': limit = '' } = pool;
  return { compress: isTrueOrEmpty(compression), bandwidth: limit === '0' ? '' : limit };
}

/** What the other side has said to an offer. */
interface Agreement {
  readonly answer: MigrationHeader;
  readonly format: MigrationFormat;
}

/** Sends one volume; resolves when the other side has it. Whatever ends this, connections and programs end too. */
export class VolumeDeparture {
  constructor(private readonly migration: VolumeMigration, private readonly connections: ConnectionSource, private readonly patience: PeerPatience = peerPatience) {}

  async run(departing: DepartingVolume, watch: TransferWatch): Promise<void> {
    const abort = new AbortController();
    const release = abortWith(watch.signal, abort);
    let control: ControlChannel | undefined;
    let peer: PeerWatch | undefined;
    try {
      const { control: messages, fs } = await this.connections.wait(abort.signal);
      control = new ControlChannel(messages);
      const frames = new Frames(fs);
      peer = new PeerWatch([messages, fs], this.patience.silenceMs, (error) => abort.abort(error));
      const formats = await this.migration.migrationFormats(departing.volume);
      await untilAborted(control.sendHeader(this.header(departing, formats[0]!)), abort.signal);
      const answer = await untilSaid(control.takeHeader(), abort.signal, this.patience.wordMs);
      const format = formatOfAnswer(answer, formats);
      // Its verdict ends the transfer whenever it comes.
      const verdict = control.verdict();
      verdict.catch((error: unknown) => abort.abort(error));
      await this.transfer(departing, { answer, format }, frames, abort, watch).catch(async (error: unknown) => {
        const reason = reasonOf(error, abort.signal);
        throw watch.signal.aborted ? reason : await tellingReason(reason, verdict);
      });
      await untilAborted(verdict, abort.signal);
    } catch (error) {
      control?.fail(error);
      throw error;
    } finally {
      peer?.stop();
      release();
      this.connections.close();
    }
  }

  private header({ snapshots, idmap, compress }: DepartingVolume, format: MigrationFormat): MigrationHeader {
    return {
      ...formatPart(format, { ...ownRsync, compress }), idmap, snapshotNames: snapshots.map(({ name }) => name), snapshots, predump: false,
      indexHeaderVersion: indexVersion,
    };
  }

  private async transfer(departing: DepartingVolume, { answer, format }: Agreement, frames: Frames, abort: AbortController, watch: TransferWatch): Promise<void> {
    // Of a refresh the other side takes what it lacks.
    const wanted = new Set(snapshotsOf({ ...answer, snapshots: [...departing.snapshots] }).map(({ name }) => name));
    const snapshots = departing.snapshots.filter(({ name }) => wanted.has(name)).map(({ name }) => name);
    if ((answer.indexHeaderVersion ?? 0) >= indexVersion) await this.describe(departing, frames, abort.signal);
    const { volume, sourceSnapshot, compress, bandwidth, inconsistent } = departing;
    const features = commonFeatures(answer.rsyncFeatures, { ...ownRsync, compress });
    const sessionId = await this.migration.sendPieces({ volume, snapshots, sourceSnapshot, ...ownEndpoint });
    const held = this.migration.waitPieces(sessionId, abort.signal);
    held.catch((error: unknown) => abort.abort(error));
    const count = byteCounter((text) => watch.progress({ fs_progress: `${departing.name}: ${text}` }));
    try {
      for (const snapshot of [...snapshots, '']) {
        const piece = { snapshot, format, xattrs: features.xattrs!, delete: features.delete!, compress: features.compress!, bandwidth, inconsistent };
        await untilAborted(exchangePiece({ migration: this.migration, sessionId, frames, sends: true, count }, piece), abort.signal);
      }
      await this.migration.endPieces(sessionId);
      await held;
    } catch (error) {
      abort.abort(error);
      await held.catch(() => undefined);
      throw error;
    }
  }

  private async describe({ index }: DepartingVolume, frames: Frames, signal: AbortSignal): Promise<void> {
    await untilAborted(frames.send(writeIndex(index), true), signal);
    await untilAborted(frames.end(), signal);
    readIndexAnswer(await untilSaid(frames.takeText(answerBytesMax), signal, this.patience.wordMs));
  }
}
