import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';
import { internal } from '#kernel';

/** Ids inside a container and on the host, as the helper reads them. */
export interface ShiftRange {
  readonly isUid: boolean;
  readonly isGid: boolean;
  readonly hostId: number;
  readonly nsId: number;
  readonly range: number;
}

export interface MountInside {
  readonly pid: number;
  readonly source: string;
  /** Absolute path inside the container; what is missing of it is made. */
  readonly target: string;
  readonly recursive: boolean;
  readonly readonly: boolean;
  /** Show the container's own ids on it. */
  readonly idmapped: boolean;
  readonly propagation: 'private' | 'shared' | 'slave' | 'unbindable';
  /** Owner on the host of directories made for the mount point. */
  readonly uid: number;
  readonly gid: number;
}

/** A file of `dist/native` of the tree this code runs from (as TypeScript source or compiled). */
export function nativeFile(name: string): string {
  for (let directory = import.meta.dirname; directory !== '/'; directory = dirname(directory)) {
    if (existsSync(`${directory}/package.json`)) return `${directory}/dist/native/${name}`;
  }
  throw internal('Cannot find the installation of this program');
}

export function findRoostHelper(): string {
  return nativeFile('roost-helper');
}

/** The C helper for work that a process with threads cannot do: see libs/host/native/roost-helper.c. */
export class RoostHelper {
  constructor(private readonly commands: CommandRunner, readonly path: string = findRoostHelper()) {}

  async mountInside(mount: MountInside): Promise<void> {
    const options = [
      ...(mount.recursive ? ['recursive'] : []), ...(mount.readonly ? ['ro'] : []), ...(mount.idmapped ? ['idmap'] : []), mount.propagation,
    ];
    await this.run(['mount', `${mount.pid}`, mount.source, mount.target, options.join(','), `${mount.uid}`, `${mount.gid}`]);
  }

  /** Absent is success. */
  async unmountInside(pid: number, target: string): Promise<void> {
    await this.run(['umount', `${pid}`, target]);
  }

  /** Rewrites owners below `path`. Safe to repeat after an interruption. Takes as long as there are files: no time limit. */
  async shiftTree(path: string, from: readonly ShiftRange[], to: readonly ShiftRange[], signal?: AbortSignal): Promise<void> {
    await this.commands.run({ argv: [this.path, 'shift', path, rangesText(from), rangesText(to)], timeoutMs: 0, signal });
  }

  /** Writes what a running container's console showed last to a descriptor. */
  async readConsole(lxcPath: string, name: string, stdoutFd: number): Promise<void> {
    await this.commands.run({ argv: [this.path, 'console-read', lxcPath, name], stdoutFd });
  }

  /** Has the monitor of a running container forget what its console showed. */
  async clearConsole(lxcPath: string, name: string): Promise<void> {
    await this.run(['console-clear', lxcPath, name]);
  }

  /** Whether the file system at `path` can be mounted with an id map. */
  async canIdmap(path: string): Promise<boolean> {
    const { exitCode } = await this.commands.run({ argv: [this.path, 'probe-idmap', path], okExitCodes: [0, 1] });
    return exitCode === 0;
  }

  private async run(words: readonly string[]): Promise<void> {
    try {
      await this.commands.run({ argv: [this.path, ...words] });
    } catch (error) {
      // The helper's one line says more than its command line does.
      if (error instanceof CommandFailedError && error.stderrTail !== '') throw internal(error.stderrTail, { cause: error });
      throw error;
    }
  }
}

export function rangesText(ranges: readonly ShiftRange[]): string {
  return ranges.map((entry) => `${entry.isUid ? (entry.isGid ? 'b' : 'u') : 'g'}:${entry.nsId}:${entry.hostId}:${entry.range}`).join(',');
}
