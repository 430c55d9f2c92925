import { Deadline, invalid, messageOf } from '#kernel';
import type { Api } from './init/api.js';

/** Returns when the API answers and early start work is done; throws after `timeoutSeconds` (0 waits for ever). */
export async function waitReady(api: Api, timeoutSeconds: number): Promise<void> {
  const deadline = new Deadline(timeoutSeconds > 0 ? timeoutSeconds * 1000 : Infinity);
  let last: unknown;
  for (;;) {
    try {
      // As LXD's: who is there, then whether it is ready; the errors differ.
      await api.get('/1.0');
      await api.get('/internal/ready');
      return;
    } catch (error) {
      last = error;
    }
    if (deadline.passed) throw invalid(`LXD still not running after ${timeoutSeconds}s timeout (${messageOf(last)})`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, Math.max(1, deadline.leftMs))));
  }
}
