import { invalid, messageOf } from '#kernel';
import type { Api } from './init/api.js';

/** Returns when the API answers and early start work is done; throws after `timeoutSeconds` (0 waits for ever). */
export async function waitReady(api: Api, timeoutSeconds: number): Promise<void> {
  const deadline = timeoutSeconds > 0 ? Date.now() + timeoutSeconds * 1000 : Number.POSITIVE_INFINITY;
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
    if (Date.now() >= deadline) throw invalid(`LXD still not running after ${timeoutSeconds}s timeout (${messageOf(last)})`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, Math.max(1, deadline - Date.now()))));
  }
}
