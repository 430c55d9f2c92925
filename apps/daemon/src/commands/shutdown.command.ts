import { invalid } from '#kernel';
import { runs, startTicksOf } from '../supervise/processes.js';
import type { Api } from './init/api.js';

const pollMs = 25;

/** Asks the daemon to stop its instances and end; returns when its process is gone. Throws when none is there or after `timeoutSeconds` (0: no limit). */
export async function shutdown(api: Api, force: boolean, timeoutSeconds: number): Promise<void> {
  const { environment: { server_pid: pid } } = await api.get<{ environment: { server_pid: number } }>('/1.0');
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
async function askAndWait(api: Api, force: boolean, pid: number): Promise<void> {
  const startTicks = startTicksOf(pid);
  await api.put(`/internal/shutdown?force=${force}`, {});
  if (startTicks === null) return;
  while (runs({ pid, startTicks })) await new Promise((resolve) => setTimeout(resolve, pollMs));
}
