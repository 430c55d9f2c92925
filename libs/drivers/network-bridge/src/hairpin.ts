import { readFile, writeFile } from 'node:fs/promises';
import type { NetworkSpec } from '#ports';

/**
 * Where bridged packets pass the host's filters, one that an instance sends to an address which is forwarded to itself is turned round within the bridge:
 * its port has to let out again what came in.
 */
export async function allowHairpins({ forwards = [] }: NetworkSpec, ports: readonly string[]): Promise<void> {
  if (forwards.length === 0 || ports.length === 0) return;
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
