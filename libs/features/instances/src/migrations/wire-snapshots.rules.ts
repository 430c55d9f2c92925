import type { DeviceMap } from '#api-types';
import type { IdmapEntry } from '#ports';
import { checkedIdmap, configOf, pairsOf, secondsOf, timeOf, type WireIdmapEntry, type WireSnapshot } from '#features/storage';
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
    name: snapshot.name, localConfig: pairsOf(snapshot.config), profiles: [...profiles], ephemeral,
    localDevices: Object.entries(snapshot.devices).map(([name, config]) => ({ name, config: pairsOf(config) })),
    architecture: architectureNumber(architecture), stateful: false, creationDate: secondsOf(snapshot.createdAt, yearOne), lastUsedDate: yearOne, expiryDate: secondsOf(snapshot.expiresAt ?? '', yearOne),
  };
}

/** @throws `invalid` for a name no snapshot may have. */
export function fromWire(wire: WireSnapshot, now: string): NewSnapshot {
  checkSnapshotName(wire.name);
  const devices: DeviceMap = Object.fromEntries(wire.localDevices.map(({ name, config }) => [name, configOf(config)]));
  return {
    name: wire.name, createdAt: timeOf(wire.creationDate) ?? now, stateful: false, description: '', expiresAt: timeOf(wire.expiryDate), config: sorted(configOf(wire.localConfig)), devices,
  };
}

/** Whether two snapshots are the same: one that was made again under the same name is another. The protocol knows no parts of seconds. */
export function isSame(a: { readonly name: string; readonly createdAt: string }, b: { readonly name: string; readonly createdAt: string }): boolean {
  return a.name === b.name && secondsOf(a.createdAt, yearOne) === secondsOf(b.createdAt, yearOne);
}

/** `volatile.last_state.idmap` of what comes with these ids. @throws `invalid` for what is no map of ids. */
export function idmapText(idmap: readonly WireIdmapEntry[]): string {
  return idmapToText(checkedIdmap(idmap.map(({ isuid, isgid, hostid, nsid, maprange }) => ({ isUid: isuid, isGid: isgid, hostId: hostid, nsId: nsid, range: maprange }))));
}

export function idmapToWire(idmap: readonly IdmapEntry[]): WireIdmapEntry[] {
  return idmap.map(({ isUid, isGid, hostId, nsId, range }) => ({ isuid: isUid, isgid: isGid, hostid: hostId, nsid: nsId, maprange: range }));
}
