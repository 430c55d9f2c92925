import type { VolumeSnapshotRow } from '../../data/volume-snapshots.repository.js';
import type { WireSnapshot } from '../../migration/migration-messages.rules.js';
import { configOf, pairsOf, secondsOf, timeOf } from '../../migration/wire-snapshot.rules.js';
import { checkVolumeSnapshotName, knownVolumeKeys } from '../../rules/custom-volume.rules.js';
import { withoutShift } from '../../rules/volume-idmap.rules.js';
import type { CopiedSnapshot } from '../copies/copy-volume.params.js';

/** A volume's snapshot as the protocol has it. */
export function snapshotToWire({ name, config, createdAt, expiresAt }: VolumeSnapshotRow): WireSnapshot {
  return {
    name, localConfig: pairsOf(config), profiles: [], ephemeral: false, localDevices: [], architecture: 0, stateful: false,
    creationDate: secondsOf(createdAt, 0), expiryDate: secondsOf(expiresAt ?? '', 0),
  };
}

/** @throws `invalid` for a name no snapshot may have. */
export function snapshotFromWire({ name, localConfig, creationDate, expiryDate }: WireSnapshot, now: string): CopiedSnapshot {
  checkVolumeSnapshotName(name);
  return { name, description: '', createdAt: timeOf(creationDate) ?? now, expiresAt: timeOf(expiryDate), config: withoutShift(knownVolumeKeys('filesystem', configOf(localConfig))) };
}
