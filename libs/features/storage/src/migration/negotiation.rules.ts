import { internal, invalid } from '#kernel';
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

/** @throws `internal` for a header that leaves nothing in common. */
export function requireRsync({ fs, rsyncFeatures }: MigrationHeader): void {
  if (fs !== fsTypes.rsync) throw internal('No common migration types found');
  if (rsyncFeatures?.bidirectional !== true) throw internal('The other server is too old to exchange volumes with');
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
