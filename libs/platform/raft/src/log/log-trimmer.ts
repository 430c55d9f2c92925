import type { Logger } from '#kernel';
import type { EtcdClient } from '../etcd/etcd-client.js';
import { prefixEnd } from '../etcd/etcd-messages.js';
import type { LogKeys } from './log-keys.js';

/** Entries that stay although everybody has them: a member that was away for a moment needs no copy of the whole database. */
const keepEntries = 2000;
/** Fewer are not worth a round of deletion and compaction. */
const strideEntries = 500;
/** Entries kept for a member that does not come back (hazards A4). */
const capEntries = 200_000;
/** What entries may take in a voter's file before far fewer are kept; its quota is four times as much. Entries may be megabytes each. */
const pressureBytes = 512 * 1024 * 1024;
const underPressure = { keepEntries: 20, strideEntries: 10, capEntries: 20 };
/** Of the file of a voter may be free pages before it is rewritten. */
const wastedShare = 0.5;
const wastedBytes = 64 * 1024 * 1024;

/**
 * Cuts the old end off the log: up to what every registered member has on its disk, live or not; for one that is too far behind up to what at least two
 * have (hazards A4), and soon up to that when entries are large. Never what somebody holds (C4). Then compacts etcd and gives pages back, one voter at a time, and lifts the alarm (C2).
 */
export class LogTrimmer {
  constructor(private readonly client: EtcdClient, private readonly keys: LogKeys, private readonly logger: Logger, private readonly settings = { keepEntries, strideEntries, capEntries, pressureBytes }) {}

  /** Returns the new floor, or null when nothing was cut. */
  async trim(registered: readonly number[]): Promise<number | null> {
    const { client, keys, settings } = this;
    const [{ dbSizeInUse }, floorNow, head, flushed, holds] = await Promise.all([
      client.status(client.endpointList[0]!),
      client.range({ key: keys.floor }),
      client.range({ key: keys.head }),
      client.range({ key: keys.flushed, rangeEnd: prefixEnd(keys.flushed) }),
      client.range({ key: keys.holds, rangeEnd: prefixEnd(keys.holds) }),
    ]);
    const limits = Number(dbSizeInUse) > settings.pressureBytes ? underPressure : settings;
    const floor = Number(floorNow.kvs[0]?.value.toString() ?? 0);
    const last = (JSON.parse(head.kvs[0]!.value.toString()) as { index: number }).index;
    const byMember = new Map(flushed.kvs.map(({ key, value }) => [Number(key.toString().split('/').at(-1)), Number(value.toString())]));
    const target = floorFor({
      head: last, flushed: registered.map((id) => byMember.get(id) ?? 0), holds: holds.kvs.map(({ value }) => Number(value.toString())), keepEntries: limits.keepEntries, capEntries: limits.capEntries,
    });
    if (target - floor < limits.strideEntries) return null;
    const { succeeded } = await client.txn({
      compare: [
        { result: 'EQUAL', target: 'VALUE', key: keys.floor, value: Buffer.from(String(floor)) },
        // A hold made since we looked.
        { result: 'LESS', target: 'MOD', key: keys.holds, rangeEnd: prefixEnd(keys.holds), modRevision: String(BigInt(holds.header.revision) + 1n) },
      ],
      success: [{ requestPut: { key: keys.floor, value: Buffer.from(String(target)) } }, { requestDeleteRange: { key: keys.entry(0), rangeEnd: keys.entry(target) } }],
      failure: [],
    });
    if (!succeeded) return null;
    this.logger.info('Trimmed the log', { floor: target });
    await this.release();
    return target;
  }

  /** Gives the space of deleted entries back. */
  private async release(): Promise<void> {
    const { client, keys } = this;
    const { header } = await client.range({ key: keys.floor });
    await client.compact(header.revision, { timeoutMs: 30_000 });
    for (const endpoint of client.endpointList) {
      const { dbSize, dbSizeInUse } = await client.status(endpoint);
      const wasted = Number(dbSize) - Number(dbSizeInUse);
      if (wasted > wastedBytes && wasted > wastedShare * Number(dbSize)) await client.defragment(endpoint);
    }
    for (const { memberID, alarm } of await client.alarms()) if (alarm === 'NOSPACE') await client.disarm(memberID, alarm);
  }
}

/** Index of the first entry to keep. */
export function floorFor({ head, flushed, holds, keepEntries: keep, capEntries: cap }: {
  readonly head: number; readonly flushed: readonly number[]; readonly holds: readonly number[]; readonly keepEntries: number; readonly capEntries: number;
}): number {
  const slowest = Math.min(head, ...flushed);
  // Two hold it on their disks, or the only one there is.
  const safe = [...flushed].sort((a, b) => b - a)[Math.min(1, flushed.length - 1)] ?? 0;
  const wanted = Math.min(safe, Math.max(slowest, head - cap));
  return Math.max(0, Math.min(wanted, head - keep, ...holds) + 1);
}
