import { readFile, writeFile } from 'node:fs/promises';

/**
 * Lets ports of bridges let out again what came in by them. Where bridged packets pass the host's filters (`bridge-nf-call-iptables`), one that is sent to an
 * address which is forwarded to its sender is turned round within the bridge; elsewhere nothing has to be changed.
 */
export async function allowHairpins(ports: readonly string[]): Promise<void> {
  if (ports.length === 0) return;
  const filtered = await Promise.all(['iptables', 'ip6tables'].map((tables) => read(`/proc/sys/net/bridge/bridge-nf-call-${tables}`)));
  if (!filtered.includes('1')) return;
  await Promise.all(ports.map(async (port) => {
    const mode = `/sys/class/net/${port}/brport/hairpin_mode`;
    // A port may go at any time.
    if ((await read(mode)) === '0') await writeFile(mode, '1').catch(() => undefined);
  }));
}

async function read(path: string): Promise<string> {
  return (await readFile(path, 'latin1').catch(() => '')).trim();
}
