import { chmodSync, lstatSync, mkdirSync, rmSync, unlinkSync, type Stats } from 'node:fs';
import { FileServer, type CommandRunner, type ServedFiles } from '#host';
import { internal, KeyedMutex, randomHex } from '#kernel';
import { InstanceFiles, type FilesEndpoint, type FilesRequest, type InstanceSpec } from '#ports';
import { formatIdmap, parseIdmap } from './idmap.rules.js';
import type { LxcPaths } from './lxc-paths.js';
import type { RunningContainers } from './running-containers.js';

interface Session {
  readonly socket: string;
  readonly server: FileServer;
  /** What it shows: another run of the container, or another tree under the same name, is something else. */
  readonly shows: string;
}

/** One server of files for each container that somebody works on, and one for its volume; they end with what they show, and with this agent. */
export class LxcInstanceFiles extends InstanceFiles {
  private readonly sessions = new Map<string, Session>();
  private readonly locks = new KeyedMutex();

  constructor(
    private readonly paths: LxcPaths,
    private readonly running: RunningContainers,
    private readonly commands: CommandRunner,
  ) {
    super();
  }

  /** Servers of an earlier agent ended with it. */
  open(): void {
    rmSync(this.paths.files, { recursive: true, force: true });
    mkdirSync(this.paths.files, { recursive: true, mode: 0o711 });
    chmodSync(this.paths.files, 0o711);
  }

  close(): void {
    for (const { server } of this.sessions.values()) void server.end();
    this.sessions.clear();
    rmSync(this.paths.files, { recursive: true, force: true });
  }

  override async openFiles({ spec, view, endpointUid, endpointGid }: FilesRequest): Promise<FilesEndpoint> {
    const key = `${spec.projectName}/${view}`;
    return this.locks.run(key, async () => {
      const { files, shows } = this.find(spec, view === 'volume');
      const known = this.sessions.get(key);
      if (known?.shows === shows) {
        known.server.touch();
        return { path: known.socket };
      }
      await this.drop(key);
      // Others clean up in places like /dev/shm.
      mkdirSync(this.paths.files, { recursive: true, mode: 0o711 });
      const socket = `${this.paths.files}/${randomHex(8)}`;
      const session: Session = { socket, shows, server: await FileServer.start(this.commands, { socket, uid: endpointUid, gid: endpointGid, files }) };
      this.sessions.set(key, session);
      void session.server.exited.then(() => this.forget(key, session));
      return { path: socket };
    });
  }

  /** When what is shown becomes something else: at a start, at an end, under another name. */
  async end(projectName: string): Promise<void> {
    await Promise.all([`${projectName}/instance`, `${projectName}/volume`].map((key) => this.locks.run(key, () => this.drop(key))));
  }

  private find(spec: InstanceSpec, wholeVolume: boolean): { files: ServedFiles; shows: string } {
    const container = wholeVolume ? undefined : this.running.get(spec.projectName);
    if (container !== undefined) {
      const { init } = container.record;
      return { files: { init }, shows: `${init.pid} ${init.startTicks}` };
    }
    const path = wholeVolume ? this.volume(spec.rootVolume) : `${this.volume(spec.rootVolume)}/rootfs`;
    const { dev, ino } = directoryAt(path);
    if (wholeVolume) return { files: { path, idmap: [], unshifted: false }, shows: `${dev} ${ino}` };
    // Where they were rewritten, files have the ids of their last start.
    const onDisk = parseIdmap(spec.config['volatile.last_state.idmap']);
    const idmap = onDisk.length > 0 ? onDisk : spec.idmap;
    return { files: { path, idmap, unshifted: onDisk.length === 0 }, shows: `${dev} ${ino} ${onDisk.length} ${formatIdmap(idmap)}` };
  }

  private volume({ pool, kind, name }: InstanceSpec['rootVolume']): string {
    return this.paths.state.volume(pool.name, kind, name);
  }

  private async drop(key: string): Promise<void> {
    const session = this.sessions.get(key);
    if (session === undefined) return;
    this.forget(key, session);
    await session.server.end();
  }

  private forget(key: string, session: Session): void {
    if (this.sessions.get(key) === session) this.sessions.delete(key);
    try {
      unlinkSync(session.socket);
    } catch {
      // Somebody cleaned up.
    }
  }
}

/** @throws `internal` in LXD's words for an instance that was made without a root. */
function directoryAt(path: string): Stats {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) throw internal(`open ${path}: no such file or directory`);
  if (!status.isDirectory()) throw internal(`open ${path}: not a directory`);
  return status;
}
