import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { invalid, randomHex, type StateDirectory } from '#kernel';
import type { ServerDirectory } from '#ports';

/** The user the daemon runs as; 0 and 0 when it stays root. */
export interface DaemonUser {
  readonly uid: number;
  readonly gid: number;
}

/** Whose the directories are that may lie in a volume, and who may look into them, where they are made. */
export function movableDirectories(daemon: DaemonUser): Readonly<Record<ServerDirectory, DaemonUser & { readonly mode: number }>> {
  return { images: { uid: 0, gid: daemon.gid, mode: 0o750 }, backups: { ...daemon, mode: 0o700 } };
}

/**
 * Makes the state directory's skeleton, root's own but for the few places where the daemon writes (hazards E4): nobody but root can rename
 * or replace anything the agent follows. Repeating it is harmless. Returns the state id.
 */
export function prepareStateDirectory(state: StateDirectory, daemon: DaemonUser): string {
  ownDirectory(state.root, 0o711, 0, 0);
  const movable = movableDirectories(daemon);
  ownMovableDirectory(state.images, movable.images);
  for (const path of [state.devices, state.disks, state.networks, state.shmounts, state.storagePools, `${state.root}/containers`, `${state.root}/virtual-machines`]) {
    ownDirectory(path, 0o711, 0, 0);
  }
  ownDirectory(`${state.root}/snapshots`, 0o700, 0, 0);
  ownDirectory(`${state.root}/logs`, 0o750, 0, daemon.gid);
  ownDirectory(state.run, 0o711, 0, 0);
  ownDirectory(state.agentRun, 0o750, 0, daemon.gid);
  for (const path of [state.database, state.uploads]) ownDirectory(path, 0o700, daemon.uid, daemon.gid);
  ownMovableDirectory(state.backups, movable.backups);
  ownDirectory(state.daemonRun, 0o711, daemon.uid, daemon.gid);
  ownDirectory(state.devlxd, 0o755, 0, 0);
  if (daemon.uid !== 0) linkDaemonFiles(state);
  return ensureStateId(state);
}

/** Where a daemon without root makes its socket and certificate; links put them where clients look. */
function linkDaemonFiles(state: StateDirectory): void {
  link(`run/daemon/unix.socket`, state.socket);
  link('database/server.crt', state.serverCertificate);
  link('database/server.key', state.serverKey);
}

function link(target: string, path: string): void {
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing?.isSymbolicLink() && readlinkSync(path) === target) return;
  // A certificate an administrator placed stays; a socket left by a daemon that ran as root does not.
  if (existing && !existing.isSymbolicLink() && !existing.isSocket()) return;
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

function ownDirectory(path: string, mode: number, uid: number, gid: number): void {
  mkdirSync(path, { recursive: true, mode });
  const info = lstatSync(path);
  if (!info.isDirectory()) throw invalid(`${path} is not a directory: refusing to work through it`);
  if ((info.mode & 0o7777) !== mode) chmodSync(path, mode);
  if (info.uid !== uid || info.gid !== gid) chownSync(path, uid, gid);
}

/** One that may lie in a volume: a link then, which only root can make here. Its pool need not be mounted yet. */
function ownMovableDirectory(path: string, { mode, uid, gid }: DaemonUser & { readonly mode: number }): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) ownDirectory(path, mode, uid, gid);
}

function ensureStateId(state: StateDirectory): string {
  if (existsSync(state.stateIdFile)) return readFileSync(state.stateIdFile, 'utf8').trim();
  const id = randomHex(8);
  const temporary = `${state.stateIdFile}.new`;
  writeFileSync(temporary, `${id}\n`, { mode: 0o644 });
  renameSync(temporary, state.stateIdFile);
  return id;
}
