import { internal, invalid } from '#kernel';
import type { MigrationFormat } from '#ports';
import { fsTypes, type MigrationHeader, type RsyncFeatures, type WireSnapshot } from './migration-messages.rules.js';

/** More than anybody has, fewer than fill the memory. */
const snapshotsMax = 100_000;

/** Of what is told beside the header, see `index-header.rules.ts`. */
export const indexVersion = 1;

/** What rsync here can do, as a header offers it. */
export const ownRsync: RsyncFeatures = { xattrs: true, delete: true, compress: true, bidirectional: true };

/** What both sides can do. */
export function commonFeatures(theirs: RsyncFeatures | undefined, own: RsyncFeatures = ownRsync): RsyncFeatures {
  return {
    xattrs: own.xattrs === true && theirs?.xattrs === true, delete: own.delete === true && theirs?.delete === true,
    compress: own.compress === true && theirs?.compress === true, bidirectional: own.bidirectional === true && theirs?.bidirectional === true,
  };
}

const fsTypeOf: Readonly<Record<MigrationFormat, number>> = { rsync: fsTypes.rsync, block: fsTypes.blockAndRsync };
const nothingInCommon = 'No common migration types found';

/** What a header says of how the volume travels: that of an offer all that would do, that of an answer what it is to be. */
export function formatPart(format: MigrationFormat, rsyncFeatures: RsyncFeatures): Pick<MigrationHeader, 'fs' | 'rsyncFeatures'> {
  return { fs: fsTypeOf[format], rsyncFeatures };
}

/**
 * What is taken of an offer; `own` as `migrationFormats` has them. Whoever offers a storage driver's own format can do without it, and says so by what it tells of rsync.
 * @throws `internal` where there is nothing in common.
 */
export function formatOfOffer({ fs, rsyncFeatures }: MigrationHeader, own: readonly MigrationFormat[]): MigrationFormat {
  const ofEveryPool: readonly number[] = [fsTypes.rsync, fsTypes.blockAndRsync];
  const known = own.find((format) => fsTypeOf[format] === fs);
  const fallback = ofEveryPool.includes(fs) || rsyncFeatures === undefined ? undefined : own.at(-1);
  return requireFormat(known ?? fallback, rsyncFeatures);
}

/** What the other side has taken of an offer. @throws `internal` for something else. */
export function formatOfAnswer({ fs, rsyncFeatures }: MigrationHeader, own: readonly MigrationFormat[]): MigrationFormat {
  return requireFormat(own.find((format) => fsTypeOf[format] === fs), rsyncFeatures);
}

function requireFormat(format: MigrationFormat | undefined, rsyncFeatures: RsyncFeatures | undefined): MigrationFormat {
  if (format === undefined) throw internal(nothingInCommon);
  if (format === 'rsync' && rsyncFeatures?.bidirectional !== true) throw internal('The other server is too old to exchange volumes with');
  return format;
}

/** Snapshots of a header, each once, in its order. @throws `invalid` for what is no list of them. */
export function snapshotsOf({ snapshots, snapshotNames }: MigrationHeader): WireSnapshot[] {
  if (snapshots.length > snapshotsMax || snapshotNames.length > snapshotsMax) throw invalid('Too many snapshots');
  const byName = new Map(snapshots.map((snapshot) => [snapshot.name, snapshot]));
  if (byName.size !== snapshots.length || new Set(snapshotNames).size !== snapshotNames.length) throw invalid('A snapshot comes twice');
  return snapshotNames.map((name) => {
    const found = byName.get(name);
    if (found === undefined) throw invalid(`Snapshot "${name}" is not described`);
    return found;
  });
}
