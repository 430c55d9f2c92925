import type {
  CheckpointRequest, ConsoleRequest, ExecRequest, ExecSessions, FilesRequest, InstanceCheckpoints, InstanceDriver, InstanceFiles, InstanceLogs, InstanceSpec, StopRequest, UsageRequest, VolumeSpec,
} from '#ports';
import type { ServiceTable } from '#platform/rpc';

/** The ports that answer for instances. */
export interface InstancePorts {
  readonly instances: InstanceDriver;
  readonly exec: ExecSessions;
  readonly logs: InstanceLogs;
  readonly files: InstanceFiles;
  readonly checkpoints: InstanceCheckpoints;
}

/** `roost.agent.v1.Instance`. */
export function instanceService({ instances, exec, logs, files, checkpoints }: InstancePorts): ServiceTable {
  const done = async (work: Promise<void>): Promise<object> => { await work; return {}; };
  type Spec = { spec: InstanceSpec };
  type Named = { projectName: string };
  type Change = { before: InstanceSpec; after: InstanceSpec };
  return {
    unary: {
      createInstance: ({ spec }: Spec) => done(instances.createInstance(spec)),
      startInstance: ({ spec, restoreState }: Spec & { restoreState: boolean }) => instances.startInstance(spec, { restoreState }),
      stopInstance: (request: StopRequest) => done(instances.stopInstance(request)),
      freezeInstance: ({ projectName }: Named) => done(instances.freezeInstance(projectName)),
      unfreezeInstance: ({ projectName }: Named) => done(instances.unfreezeInstance(projectName)),
      updateInstance: ({ before, after }: Change) => instances.updateInstance(before, after),
      renameInstance: ({ before, after }: Change) => done(instances.renameInstance(before, after)),
      destroyInstance: ({ projectName }: Named) => done(instances.destroyInstance(projectName)),
      describeStatus: async (r: { projectNames: string[] }) => ({ instances: await instances.describeStatus(r.projectNames) }),
      describeUsage: async (r: { requests: UsageRequest[] }) => ({ instances: await instances.describeUsage(r.requests) }),
      startExec: (request: ExecRequest) => exec.startExec(request),
      startConsole: (request: ConsoleRequest) => exec.startConsole(request),
      resizeExec: (r: { sessionId: string; width: number; height: number }) => done(exec.resizeExec(r.sessionId, r.width, r.height)),
      signalExec: (r: { sessionId: string; signal: number }) => done(exec.signalExec(r.sessionId, r.signal)),
      waitExec: async (r: { sessionId: string }, signal: AbortSignal) => ({ exitCode: await exec.waitExec(r.sessionId, signal) }),
      checkpointsAvailable: async () => ({ available: await checkpoints.isAvailable() }),
      writeState: (request: CheckpointRequest) => done(checkpoints.writeState(request)),
      discardState: ({ volume }: { volume: VolumeSpec }) => done(checkpoints.discardState(volume)),
      deleteLog: (r: { projectName: string; file: string }) => done(logs.deleteLog(r.projectName, r.file)),
      clearConsoleLog: ({ projectName }: Named) => done(logs.clearConsoleLog(projectName)),
      openFiles: (request: FilesRequest) => files.openFiles(request),
      readConsoleLog: async ({ projectName }: Named) => ({ content: await logs.readConsoleLog(projectName) }),
    },
    streams: {
      watchInstances: (_request, signal) => instances.watchInstances(signal),
      runExec: async function* (request, signal) {
        const started = await exec.startExec(request as ExecRequest);
        yield { started };
        yield { result: { exitCode: await exec.waitExec(started.sessionId, signal) } };
      },
    },
  };
}
