import { readFileSync } from 'node:fs';
import { chmod, chown, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { conflict, invalid, wrap } from '#kernel';

const refusedAfterMs = 1000;

/**
 * Binds a server to a unix socket of mode 0660, owned by `group` where one is named. A socket nobody answers on is left over
 * from a killed daemon and replaced; one that answers belongs to a running daemon (`conflict`).
 */
export async function listenOnUnixSocket(server: Server, path: string, group?: string): Promise<void> {
  await removeStaleSocket(path);
  const gid = group === undefined || group === '' ? undefined : groupId(group);
  // The socket is made when `listen` is called, so nobody else can connect between that and the chmod below.
  const umask = process.umask(0o177);
  try {
    await bound(server, () => server.listen({ path, backlog: 1024 }));
  } finally {
    process.umask(umask);
  }
  if (gid !== undefined) await chown(path, -1, gid);
  await chmod(path, 0o660);
}

/** Resolves once the server listens, rejects with what kept it from doing so. */
export function bound(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    listen();
  });
}

async function removeStaleSocket(path: string): Promise<void> {
  if (await answers(path)) throw conflict(`Another daemon listens on "${path}"`);
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw wrap(error, `Failed to remove the stale socket "${path}"`);
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const settle = (value: boolean): void => {
      probe.destroy();
      resolve(value);
    };
    probe.once('connect', () => settle(true));
    probe.once('error', () => settle(false));
    probe.setTimeout(refusedAfterMs, () => settle(true));
  });
}

function groupId(name: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync('/etc/group', 'utf8').split('\n').find((l) => l.startsWith(`${name}:`));
  const gid = line?.split(':')[2];
  if (gid === undefined) throw invalid(`Group "${name}" not found`);
  return Number(gid);
}
