import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, internal, messageOf, unavailable, type RequestContext } from '#kernel';
import type { PeerMember, Peers } from './peers.port.js';

/** Making something on a host may take long: a loop file is formatted, an image unpacked. */
const noticeTimeoutMs = 5 * 60_000;
/** A connection that failed is tried again after a second. */
const insistMs = 2500;
const insistPauseMs = 100;

/** `internal`, in LXD's words, when one of the members is known to be away: nothing is begun that could not be ended everywhere. */
export function requirePeersOnline(peers: Peers, members: readonly PeerMember[]): void {
  const away = members.find(({ id }) => !peers.isOnline(id));
  if (away !== undefined) throw internal(`peer node ${away.address} is down`);
}

/**
 * Calls all of them at once and waits for all; throws the first failure in the order of `members`, with the address in front as LXD has it. What is
 * called may be repeated: a member that counts as there and does not answer, for it has just come back, is asked again for a while.
 */
export async function notifyPeers(peers: Peers, members: readonly PeerMember[], ctx: RequestContext, name: string, request: object): Promise<void> {
  const results = await Promise.allSettled(members.map(({ id }) => insist(peers, id, () => peers.call(id, name, request, { timeoutMs: noticeTimeoutMs, requestor: ctx.requestor }))));
  const failed = results.findIndex(({ status }) => status === 'rejected');
  if (failed < 0) return;
  const { reason } = results[failed] as PromiseRejectedResult;
  const text = `failed to notify peer ${members[failed]?.address}: ${messageOf(reason)}`;
  throw AppError.is(reason, 'unavailable') ? unavailable(text, { cause: reason }) : internal(text, { cause: reason });
}

async function insist(peers: Peers, id: number, call: () => Promise<unknown>): Promise<void> {
  for (const end = performance.now() + insistMs; ; await sleep(insistPauseMs)) {
    try {
      await call();
      return;
    } catch (error) {
      if (!AppError.is(error, 'unavailable') || !peers.isOnline(id) || performance.now() > end) throw error;
    }
  }
}
