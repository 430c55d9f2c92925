import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';
import {
  ExecSessions, InstanceCheckpoints, InstanceDriver, InstanceLogs,
  type CheckpointRequest, type ConsoleRequest, type ExecRequest, type ExecStarted, type InstanceEvent, type InstanceSpec, type InstanceStatus, type InstanceUsage,
  type StartInstanceOptions, type StartResult, type StopRequest, type UsageRequest, type VolatileChange, type VolumeSpec,
} from '#ports';
import { AgentChannel } from '#platform/rpc';

/** The instance port, carried out by the local agent. */
@Injectable()
export class RemoteInstanceDriver extends InstanceDriver {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async createInstance(spec: InstanceSpec): Promise<void> { await this.call('createInstance', { spec }); }
  override async startInstance(spec: InstanceSpec, { restoreState = false }: StartInstanceOptions = {}): Promise<StartResult> { return this.call('startInstance', { spec, restoreState }); }
  override async stopInstance(request: StopRequest): Promise<void> { await this.call('stopInstance', request); }
  override async freezeInstance(projectName: string): Promise<void> { await this.call('freezeInstance', { projectName }); }
  override async unfreezeInstance(projectName: string): Promise<void> { await this.call('unfreezeInstance', { projectName }); }

  override async updateInstance(before: InstanceSpec, after: InstanceSpec): Promise<VolatileChange> {
    return this.call('updateInstance', { before, after });
  }

  override async renameInstance(before: InstanceSpec, after: InstanceSpec): Promise<void> { await this.call('renameInstance', { before, after }); }
  override async destroyInstance(projectName: string): Promise<void> { await this.call('destroyInstance', { projectName }); }

  override async describeStatus(projectNames: readonly string[]): Promise<InstanceStatus[]> {
    return (await this.call<{ instances: InstanceStatus[] }>('describeStatus', { projectNames })).instances;
  }

  override async describeUsage(requests: readonly UsageRequest[]): Promise<InstanceUsage[]> {
    return (await this.call<{ instances: InstanceUsage[] }>('describeUsage', { requests })).instances;
  }

  override watchInstances(signal: AbortSignal): AsyncIterable<InstanceEvent> {
    return this.agent.stream<InstanceEvent>('Instance', 'watchInstances', {}, signal);
  }

  private call<Reply>(method: string, request: object): Promise<Reply> { return this.agent.call<Reply>('Instance', method, request); }
}

/** The state of instances as files, written by the local agent. */
@Injectable()
export class RemoteInstanceCheckpoints extends InstanceCheckpoints {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async isAvailable(): Promise<boolean> { return (await this.agent.call<{ available: boolean }>('Instance', 'checkpointsAvailable', {})).available; }
  override async writeState(request: CheckpointRequest): Promise<void> { await this.agent.call('Instance', 'writeState', request); }
  override async discardState(volume: VolumeSpec): Promise<void> { await this.agent.call('Instance', 'discardState', { volume }); }
}

/** One of the two. */
interface ExecProgress {
  readonly started?: ExecStarted | null;
  readonly result?: { readonly exitCode: number } | null;
}

interface ComingResult {
  readonly exitCode: Promise<number>;
  readonly cancel: () => void;
}

/** How long the result of a command is kept that nobody asks for, because its streams could not be opened. */
const unclaimedMs = 30_000;

/** Commands inside instances, started by the local agent; their bytes go through the endpoints it names. */
@Injectable()
export class RemoteExecSessions extends ExecSessions {
  private readonly results = new Map<string, ComingResult>();

  constructor(private readonly agent: AgentChannel) { super(); }

  /** How it ends comes with the same call; `waitExec` finds it here. */
  override async startExec(request: ExecRequest): Promise<ExecStarted> {
    const started = Promise.withResolvers<ExecStarted>();
    const result = Promise.withResolvers<number>();
    result.promise.catch(() => {}); // It is told to whoever waits.
    let sessionId = '';
    const call = this.agent.follow<ExecProgress>('Instance', 'runExec', request, {
      message: (progress) => {
        if (progress.started) {
          ({ sessionId } = progress.started);
          this.results.set(sessionId, { exitCode: result.promise, cancel: () => call.cancel() });
          started.resolve(progress.started);
        }
        if (progress.result) result.resolve(progress.result.exitCode);
      },
      end: (error) => {
        const reason = error ?? unavailable('The agent did not say how a command ended');
        started.reject(reason);
        result.reject(reason);
        setTimeout(() => this.results.delete(sessionId), unclaimedMs).unref();
      },
    });
    return started.promise;
  }

  override async startConsole(request: ConsoleRequest): Promise<ExecStarted> { return this.agent.call('Instance', 'startConsole', request); }

  override async resizeExec(sessionId: string, width: number, height: number): Promise<void> {
    await this.agent.call('Instance', 'resizeExec', { sessionId, width, height });
  }

  override async signalExec(sessionId: string, signal: number): Promise<void> {
    await this.agent.call('Instance', 'signalExec', { sessionId, signal });
  }

  override async waitExec(sessionId: string, signal: AbortSignal): Promise<number> {
    const result = this.results.get(sessionId);
    this.results.delete(sessionId);
    if (result !== undefined) return resultOf(result, signal);
    return (await this.agent.call<{ exitCode: number }>('Instance', 'waitExec', { sessionId }, { signal })).exitCode;
  }
}

async function resultOf({ exitCode, cancel }: ComingResult, signal: AbortSignal): Promise<number> {
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    return await exitCode;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Log files that only the agent may change. */
@Injectable()
export class RemoteInstanceLogs extends InstanceLogs {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async deleteLog(projectName: string, file: string): Promise<void> { await this.agent.call('Instance', 'deleteLog', { projectName, file }); }
  override async clearConsoleLog(projectName: string): Promise<void> { await this.agent.call('Instance', 'clearConsoleLog', { projectName }); }

  override async readConsoleLog(projectName: string): Promise<Uint8Array> {
    return (await this.agent.call<{ content: Uint8Array }>('Instance', 'readConsoleLog', { projectName })).content;
  }
}
