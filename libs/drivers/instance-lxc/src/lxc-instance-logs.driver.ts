import { open, rm, truncate } from 'node:fs/promises';
import { constants } from 'node:fs';
import { errnoName } from '#host';
import { invalid, notFound } from '#kernel';
import { InstanceLogs } from '#ports';
import type { LxcPaths } from './lxc-paths.js';

const consoleBytesMax = 1024 * 1024;

/** Logs below `logs/NAME`. LXC appends what a container writes to its console to `console.log` while it runs. */
export class LxcInstanceLogs extends InstanceLogs {
  constructor(private readonly paths: LxcPaths) {
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
    try {
      await truncate(this.paths.consoleLog(projectName), 0);
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') throw error;
    }
  }

  override async readConsoleLog(projectName: string): Promise<Uint8Array> {
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
