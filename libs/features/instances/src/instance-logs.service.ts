import { createReadStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { internal, invalid, notFound, StateDirectory, type RequestContext } from '#kernel';
import { InstanceLogs } from '#ports';
import { apiUrl, streamResponse, type ApiResponse } from '#platform/http';
import type { ExpandedInstance } from './data/instance.catalog.js';
import { execOutputDirectory } from './exec/instance-exec.service.js';
import { InstanceLifecycleEvents } from './instance-lifecycle-events.js';
import { hostName } from './instance-urls.js';
import { PowerStates } from './power-states.js';
import { checkLogName, checkLogRemoval, isLogName, isRecordedOutput } from './rules/log-names.rules.js';

/** Log files and the console log. Read directly; the agent, who owns them, changes them. */
@Injectable()
export class InstanceLogFiles {
  constructor(
    private readonly state: StateDirectory,
    private readonly logs: InstanceLogs,
    private readonly states: PowerStates,
    private readonly events: InstanceLifecycleEvents,
  ) {}

  /** URLs, sorted. LXD leaves the project out of them. */
  async list({ row }: ExpandedInstance): Promise<string[]> {
    const directories = [this.state.logs(hostName(row)), execOutputDirectory(this.state, hostName(row))];
    const names = (await Promise.all(directories.map(namesIn))).flat().filter(isLogName).sort();
    return names.map((name) => apiUrl(['1.0', 'instances', row.name, 'logs', name]));
  }

  async read(ctx: RequestContext, { row }: ExpandedInstance, file: string): Promise<ApiResponse> {
    checkLogName(file);
    const path = `${this.directoryOf(hostName(row), file)}/${file}`;
    const size = await stat(path).then((found) => found.size, () => undefined);
    if (size === undefined) throw internal(`open ${path}: no such file or directory`);
    this.events.send('log-retrieved', row, { path: ['backups', file], requestor: ctx.requestor });
    // The file may grow while it is sent; what is there now is what was asked for.
    const body = size === 0 ? Buffer.alloc(0) : createReadStream(path, { end: size - 1, highWaterMark: 256 * 1024 });
    return streamResponse(body, { size, headers: { 'Content-Disposition': `inline;filename=${file}` } });
  }

  async remove(ctx: RequestContext, { row }: ExpandedInstance, file: string): Promise<void> {
    checkLogName(file);
    checkLogRemoval(file);
    const path = `${this.directoryOf(hostName(row), file)}/${file}`;
    if (await isAbsent(path)) throw notFound(`remove ${path}: no such file or directory`);
    if (isRecordedOutput(file)) await rm(path, { force: true });
    else await this.logs.deleteLog(hostName(row), file);
    this.events.send('log-deleted', row, { path: ['backups', file], requestor: ctx.requestor });
  }

  /** What the console showed, at most 1 MiB. */
  async readConsole(ctx: RequestContext, { row }: ExpandedInstance): Promise<ApiResponse> {
    const content = Buffer.from(await this.logs.readConsoleLog(hostName(row)));
    if (content.length === 0 && !this.states.isRunning(hostName(row)) && (await isAbsent(this.consoleLog(row)))) throw internal(`open ${this.consoleLog(row)}: no such file or directory`);
    this.events.send('console-retrieved', row, { requestor: ctx.requestor, path: ['console'] });
    return streamResponse(content, { headers: { 'Content-Disposition': 'inline;filename=console.log' } });
  }

  async clearConsole(ctx: RequestContext, { row }: ExpandedInstance): Promise<void> {
    if (row.type !== 'container') throw invalid('Instance is not container type');
    const stopped = !this.states.isRunning(hostName(row));
    if (stopped && (await isAbsent(this.consoleLog(row)))) throw notFound(`stat ${this.consoleLog(row)}: no such file or directory`);
    await this.logs.clearConsoleLog(hostName(row));
    this.events.send('console-reset', row, { requestor: ctx.requestor, path: ['console'] });
  }

  /** When an instance is deleted or renamed: what the daemon itself keeps of it. */
  async dropRecordedOutput(projectName: string): Promise<void> {
    await rm(execOutputDirectory(this.state, projectName), { recursive: true, force: true });
  }

  private consoleLog(row: ExpandedInstance['row']): string {
    return `${this.state.logs(hostName(row))}/console.log`;
  }

  private directoryOf(projectName: string, file: string): string {
    return isRecordedOutput(file) ? execOutputDirectory(this.state, projectName) : this.state.logs(projectName);
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    // It comes with the first start or the first recorded command.
    return [];
  }
}

/** False also for what this process may not look at: the agent knows better. */
async function isAbsent(path: string): Promise<boolean> {
  return stat(path).then(() => false, (error: NodeJS.ErrnoException) => error.code === 'ENOENT');
}
