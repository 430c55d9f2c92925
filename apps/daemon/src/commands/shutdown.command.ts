import { invalid } from '#kernel';
import type { Api } from './init/api.js';

/** Asks the daemon to stop its instances and end; returns when it has. Throws when none is there or after `timeoutSeconds` (0: no limit). */
export async function shutdown(api: Api, force: boolean, timeoutSeconds: number): Promise<void> {
  const asked = api.put(`/internal/shutdown?force=${force}`, {});
  if (timeoutSeconds <= 0) {
    await asked;
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(invalid(`LXD still running after ${timeoutSeconds}s timeout`)), timeoutSeconds * 1000);
  });
  await Promise.race([asked, late]).finally(() => clearTimeout(timer));
}
