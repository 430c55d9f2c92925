import type { VolumeKind } from '#ports';

/** Where the pieces of a volume lie in LXD's backups. */
export interface ArchiveLayout {
  readonly volume: string;
  readonly snapshots: string;
}

const layouts: Readonly<Partial<Record<VolumeKind, ArchiveLayout>>> = {
  container: { volume: 'container', snapshots: 'snapshots' },
  'virtual-machine': { volume: 'virtual-machine', snapshots: 'virtual-machine-snapshots' },
  custom: { volume: 'volume', snapshots: 'volume-snapshots' },
};

/** Below this everything lies. */
export const archivePrefix = 'backup/';
export const indexMember = `${archivePrefix}index.yaml`;

export function layoutOf(kind: VolumeKind): ArchiveLayout {
  return layouts[kind] ?? { volume: kind, snapshots: `${kind}-snapshots` };
}

export interface SubvolumeOfHeader {
  /** Null for the volume itself. */
  readonly snapshot: string | null;
  readonly uuid: string;
}

/** `optimized_header.yaml`: what the streams of the archive are of. */
export function optimizedHeader(subvolumes: readonly SubvolumeOfHeader[]): string {
  const lines = subvolumes.flatMap(({ snapshot, uuid }) => [
    '- path: /', `  snapshot: ${snapshot === null ? '""' : JSON.stringify(snapshot)}`, `  readonly: ${snapshot !== null}`, `  uuid: ${uuid}`,
  ]);
  return `subvolumes:\n${lines.join('\n')}\n`;
}
