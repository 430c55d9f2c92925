import type { VolumeSnapshotRow } from '../../data/volume-snapshots.repository.js';
import type { WireSnapshot } from '../../migration/migration-messages.rules.js';
import { checkVolumeSnapshotName } from '../../rules/custom-volume.rules.js';
import type { CopiedSnapshot } from '../copies/copy-volume.params.js';

/** A volume's snapshot as the protocol has it. */
export function snapshotToWire({ name, config, createdAt, expiresAt }: VolumeSnapshotRow): WireSnapshot {
  return {
    name, localConfig: Object.entries(config).map(([key, value]) => ({ key, value })), profiles: [], ephemeral: false, localDevices: [], architecture: 0, stateful: false,
    creationDate: seconds(createdAt), expiryDate: seconds(expiresAt ?? ''),
  };
}

/** @throws `invalid` for a name no snapshot may have. */
export function snapshotFromWire({ name, localConfig, creationDate, expiryDate }: WireSnapshot, now: string): CopiedSnapshot {
  checkVolumeSnapshotName(name);
  return { name, description: '', createdAt: timeOf(creationDate) ?? now, expiresAt: timeOf(expiryDate), config: Object.fromEntries(localConfig.map(({ key, value }) => [key, value])) };
}

function seconds(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? 0 : Math.floor(time / 1000);
}

function timeOf(value: number | undefined): string | null {
  if (value === undefined || value <= 0 || value > 253_402_300_799) return null;
  return `${new Date(value * 1000).toISOString().slice(0, 19)}Z`;
}
