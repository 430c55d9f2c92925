import { mkdir } from 'node:fs/promises';
import fs from 'node:fs';
import { Injectable } from '@nestjs/common';
import type { InstanceExecPost } from '#api-types';
import { invalid, Logger, StateDirectory, type RequestContext } from '#kernel';
import { ExecSessions, type ExecRequest } from '#ports';
import { ownEndpoint } from '#platform/agent-client';
import { apiUrl } from '#platform/http';
import { OperationsService, type OperationHandle, type RunningOperation } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { execDirectory, execEnvironment } from '../rules/exec-environment.rules.js';
import { ExecChannels } from './exec-channels.js';
import { ExecCommand, refuseShellCodes } from './exec-command.js';

/** Where recorded output lies: the daemon may not write into the instance's log directory, but shows both as one. */
export function execOutputDirectory(state: StateDirectory, projectName: string): string {
  return `${state.database}/exec-output/${projectName}`;
}

/** `POST /1.0/instances/{name}/exec`: commands as operations in memory of this member. */
@Injectable()
export class InstanceExec {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly sessions: ExecSessions,
    private readonly operations: OperationsService,
    private readonly events: InstanceLifecycleEvents,
    private readonly state: StateDirectory,
    private readonly logger: Logger,
  ) {}

  async exec(ctx: RequestContext, instance: ExpandedInstance, request: InstanceExecPost): Promise<OperationHandle> {
    const { power } = this.states.get(hostName(instance.row));
    if (power === 'Stopped') throw invalid('Instance is not running');
    if (power === 'Frozen') throw invalid('Instance is frozen');
    const command = this.commandOf(instance, request);
    return request['wait-for-websocket'] === true ? this.connected(ctx, instance, command) : this.detached(ctx, instance, command, request['record-output'] === true);
  }

  private commandOf(instance: ExpandedInstance, request: InstanceExecPost): ExecRequest {
    const user = request.user ?? 0;
    const environment = execEnvironment(request.environment ?? {}, this.catalog.fullConfig(instance), user);
    return {
      projectName: hostName(instance.row), command: request.command ?? [], environment, user, group: request.group ?? 0,
      cwd: execDirectory(request.cwd ?? '', environment), interactive: request.interactive ?? false, ends: 'all',
      width: request.width ?? 0, height: request.height ?? 0, ...ownEndpoint,
    };
  }

  private connected(ctx: RequestContext, instance: ExpandedInstance, command: ExecRequest): Promise<OperationHandle> {
    const channels = new ExecChannels(command.interactive ? ['0', 'control'] : ['0', '1', '2', 'control']);
    return this.operations.runInMemory(ctx, {
      kind: 'instance.exec', class: 'websocket', description: 'Executing command', resources: instanceResources(instance.row),
      metadata: { command: command.command, environment: command.environment, fds: channels.secrets, interactive: command.interactive },
      connect: (secret, accept) => channels.connect(secret, accept),
      run: async (operation) => {
        try {
          await channels.wait();
          return await this.finish(instance, command, operation, () => new ExecCommand(this.sessions, this.logger).runConnected(command, channels));
        } finally {
          // After the end was announced, so that a client that sees its channels close finds the exit code.
          setImmediate(() => channels.close());
        }
      },
    });
  }

  private detached(ctx: RequestContext, instance: ExpandedInstance, command: ExecRequest, record: boolean): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, {
      kind: 'instance.exec', class: 'task', description: 'Executing command', resources: instanceResources(instance.row),
      run: async (operation) => {
        const files = record ? await this.outputFiles(instance, operation.id) : null;
        if (files) operation.update({ output: files.urls });
        return this.finish(instance, command, operation, () => new ExecCommand(this.sessions, this.logger).runDetached(command, files));
      },
    });
  }

  private async finish(instance: ExpandedInstance, command: ExecRequest, operation: RunningOperation, run: () => Promise<number>): Promise<{ return: number }> {
    this.events.send('exec', instance.row, { context: { command: command.command } });
    const exitCode = await run();
    operation.update({ return: exitCode });
    refuseShellCodes(exitCode);
    return { return: exitCode };
  }

  private async outputFiles({ row }: ExpandedInstance, operationId: string) {
    const directory = execOutputDirectory(this.state, hostName(row));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const names = { 1: `exec_${operationId}.stdout`, 2: `exec_${operationId}.stderr` };
    const open = (name: string): fs.WriteStream => fs.createWriteStream(`${directory}/${name}`, { mode: 0o600 });
    const url = (name: string): string => apiUrl(['1.0', 'instances', row.name, 'logs', name]);
    return { stdout: open(names[1]), stderr: open(names[2]), urls: { 1: url(names[1]), 2: url(names[2]) } };
  }
}
