import { invalid } from '#kernel';
import { runs, startTicksOf } from '../supervise/processes.js';
import type { Api } from './init/api.js';

const pollMs = 25;

/** Asks the daemon to stop its instances and end; returns when its process is gone. Throws when none is there or after `timeoutSeconds` (0: no limit). */
export async function shutdown(api: Api, force: boolean, timeoutSeconds: number): Promise<void> {
  // Where none answers, the request itself says so, in LXD's words.
  const pid = await api.get<{ environment: { server_pid: number } }>('/1.0').then(({ environment }) => environment.server_pid, () => null);
  const asked = askAndWait(api, force, pid);
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

/** The answer comes when instances are down; who starts the daemon again at once must not meet the former one handing over and closing its files. */
async function askAndWait(api: Api, force: boolean, pid: number | null): Promise<void> {
  const startTicks = pid === null ? null : startTicksOf(pid);
  await api.put(`/internal/shutdown?force=${force}`, {});
  if (pid === null || startTicks === null) return;
  while (runs({ pid, startTicks })) await new Promise((resolve) => setTimeout(resolve, pollMs));
}
