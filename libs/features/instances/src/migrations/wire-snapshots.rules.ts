import type { ConfigMap, DeviceMap } from '#api-types';
import type { IdmapEntry } from '#ports';
import type { WireIdmapEntry, WireSnapshot } from '#features/storage';
import type { NewSnapshot } from '../data/instance-snapshot.repository.js';
import { architectureNumber } from '../rules/architectures.rules.js';
import { sorted } from '../rules/expand.rules.js';
import { idmapToText } from '../rules/idmap.rules.js';
import { checkSnapshotName } from '../rules/snapshot-name.rules.js';

/** What LXD writes for no time at all, in seconds. */
const yearOne = -62_135_596_800;

/** What a snapshot has from its instance. */
export interface SnapshotContext {
  readonly profiles: readonly string[];
  readonly ephemeral: boolean;
  readonly architecture: string;
}

/** A snapshot as the protocol has it; stateful ones arrive without the state. */
export function toWire(snapshot: NewSnapshot, { profiles, ephemeral, architecture }: SnapshotContext): WireSnapshot {
  return {
    name: snapshot.name, localConfig: pairs(snapshot.config), profiles: [...profiles], ephemeral,
    localDevices: Object.entries(snapshot.devices).map(([name, config]) => ({ name, config: pairs(config) })),
    architecture: architectureNumber(architecture), stateful: false, creationDate: seconds(snapshot.createdAt), lastUsedDate: yearOne, expiryDate: seconds(snapshot.expiresAt ?? ''),
  };
}

/** @throws `invalid` for a name no snapshot may have. */
export function fromWire(wire: WireSnapshot, now: string): NewSnapshot {
  checkSnapshotName(wire.name);
  const devices: DeviceMap = Object.fromEntries(wire.localDevices.map(({ name, config }) => [name, fromPairs(config)]));
  return {
    name: wire.name, createdAt: timeOf(wire.creationDate) ?? now, stateful: false, description: '', expiresAt: timeOf(wire.expiryDate), config: sorted(fromPairs(wire.localConfig)), devices,
  };
}

/** Whether two snapshots are the same: one that was made again under the same name is another. The protocol knows no parts of seconds. */
export function isSame(a: { readonly name: string; readonly createdAt: string }, b: { readonly name: string; readonly createdAt: string }): boolean {
  return a.name === b.name && seconds(a.createdAt) === seconds(b.createdAt);
}

/** `volatile.last_state.idmap` of what comes with these ids. */
export function idmapText(idmap: readonly WireIdmapEntry[]): string {
  return idmapToText(idmap.map(({ isuid, isgid, hostid, nsid, maprange }) => ({ isUid: isuid, isGid: isgid, hostId: hostid, nsId: nsid, range: maprange })));
}

export function idmapToWire(idmap: readonly IdmapEntry[]): WireIdmapEntry[] {
  return idmap.map(({ isUid, isGid, hostId, nsId, range }) => ({ isuid: isUid, isgid: isGid, hostid: hostId, nsid: nsId, maprange: range }));
}

function pairs(config: Readonly<ConfigMap>): { key: string; value: string }[] {
  return Object.entries(config).map(([key, value]) => ({ key, value: value ?? '' }));
}

function fromPairs(list: readonly { readonly key: string; readonly value: string }[]): ConfigMap {
  return Object.fromEntries(list.map(({ key, value }) => [key, value]));
}

function seconds(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? yearOne : Math.floor(time / 1000);
}

function timeOf(value: number | undefined): string | null {
  if (value === undefined || value <= 0 || value > 253_402_300_799) return null;
  return `${new Date(value * 1000).toISOString().slice(0, 19)}Z`;
}
