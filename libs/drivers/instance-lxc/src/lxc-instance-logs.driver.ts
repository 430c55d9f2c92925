import { open, rm, truncate } from 'node:fs/promises';
import { constants } from 'node:fs';
import { errnoName, type RoostHelper } from '#host';
import { invalid, notFound, randomHex } from '#kernel';
import { InstanceLogs } from '#ports';
import type { LxcPaths } from './lxc-paths.js';
import type { RunningContainers } from './running-containers.js';

const consoleBytesMax = 1024 * 1024;

/**
 * Logs below `logs/NAME`. LXC appends what a container writes to its console to `console.log` while it runs, starts that file again when it has become large, and keeps the
 * last 128 KiB in memory besides, which it writes there when the container ends.
 */
export class LxcInstanceLogs extends InstanceLogs {
  constructor(
    private readonly paths: LxcPaths,
    private readonly helper: Pick<RoostHelper, 'readConsole' | 'clearConsole'>,
    private readonly running: Pick<RunningContainers, 'get'>,
  ) {
    super();
  }

  override async deleteLog(projectName: string, file: string): Promise<void> {
    if (file === '' || file.includes('/') || file.startsWith('.')) throw invalid(`log file name ${file} not valid`);
    try {
      await rm(`${this.paths.logs(projectName)}/${file}`);
    } catch (error) {
      if (errnoName(error) === 'ENOENT') throw notFound(`Log file "${file}" not found`);
      throw error;
    }
  }

  override async clearConsoleLog(projectName: string): Promise<void> {
    if (this.running.get(projectName) !== undefined) await this.helper.clearConsole(this.paths.lxcPath, projectName).catch((error: unknown) => this.unlessEnded(projectName, error));
    try {
      await truncate(this.paths.consoleLog(projectName), 0);
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') throw error;
    }
  }

  /** Of the file and the memory what goes further back. */
  override async readConsoleLog(projectName: string): Promise<Uint8Array> {
    const [file, ring] = [await this.readFile(projectName), await this.readRing(projectName)];
    return ring.length > file.length ? ring : file;
  }

  /** Without its monitor a running container has no more than the file. */
  private async readRing(projectName: string): Promise<Uint8Array> {
    if (this.running.get(projectName) === undefined) return new Uint8Array();
    const path = `${this.paths.run}/console-${randomHex(8)}`;
    const handle = await open(path, 'wx+', 0o600);
    try {
      await rm(path);
      await this.helper.readConsole(this.paths.lxcPath, projectName, handle.fd);
      // The helper has moved the position that it shares with us.
      const bytes = Buffer.alloc((await handle.stat()).size);
      await handle.read(bytes, 0, bytes.length, 0);
      return bytes;
    } catch {
      return new Uint8Array();
    } finally {
      await handle.close();
    }
  }

  private unlessEnded(projectName: string, error: unknown): void {
    if (this.running.get(projectName) !== undefined) throw error;
  }

  private async readFile(projectName: string): Promise<Uint8Array> {
    try {
      const handle = await open(this.paths.consoleLog(projectName), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const { size } = await handle.stat();
        const bytes = Buffer.alloc(Math.min(size, consoleBytesMax));
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, Math.max(0, size - bytes.length));
        return bytes.subarray(0, bytesRead);
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return new Uint8Array();
      throw error;
    }
  }
}
