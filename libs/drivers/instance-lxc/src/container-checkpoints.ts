import { mkdirSync, rmSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { CommandFailedError, type LxcTools } from '#host';
import { conflict, internal, messageOf, type Logger, type StateDirectory } from '#kernel';
import { InstanceCheckpoints, type CheckpointRequest, type VolumeSpec } from '#ports';
import type { InstanceRecords } from './instance-records.js';
import type { LxcPaths } from './lxc-paths.js';
import type { RunningContainers } from './running-containers.js';

export interface ContainerCheckpointsDependencies {
  readonly paths: LxcPaths;
  readonly lxc: Pick<LxcTools, 'hasCriu' | 'checkpoint'>;
  readonly records: Pick<InstanceRecords, 'get'>;
  readonly running: Pick<RunningContainers, 'get' | 'end'>;
  readonly logger: Logger;
}

/**
 * Containers written to `state/` in their volumes, beside the root file system, where only root of the host looks. LXC has CRIU do it: it freezes the container, writes it
 * down, and ends it or lets it go on; when it fails, it lets it go on. Its log is kept under LXD's name.
 */
export class ContainerCheckpoints extends InstanceCheckpoints {
  constructor(private readonly deps: ContainerCheckpointsDependencies) {
    super();
  }

  override async isAvailable(): Promise<boolean> {
    return this.deps.lxc.hasCriu;
  }

  override async writeState({ projectName, stop }: CheckpointRequest): Promise<void> {
    const { paths, lxc, records, running } = this.deps;
    const container = running.get(projectName);
    const spec = records.get(projectName)?.spec;
    if (container === undefined || !spec) throw conflict("The container isn't running");
    const directory = stateDirectory(paths.state, spec.rootVolume);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
    // What ends because it was written down is not to be started again.
    container.stopRequested ||= stop;
    try {
      await lxc.checkpoint({ lxcPath: paths.lxcPath, name: projectName, directory, stop });
      await this.keepLog(projectName, directory, 'dump');
    } catch (error) {
      if (stop) container.stopRequested = false;
      await this.keepLog(projectName, directory, 'dump');
      const words = await criuErrors(`${directory}/dump.log`);
      rmSync(directory, { recursive: true, force: true });
      if (!(error instanceof CommandFailedError)) throw error;
      throw internal(words === '' ? `Failed to run: lxc-checkpoint ${projectName}: ${error.stderrTail}` : `snapshot dump failed\n${words}`, { cause: error });
    }
    if (!stop) return;
    await container.noticed.promise;
    await running.end(container);
  }

  override async discardState(volume: VolumeSpec): Promise<void> {
    rmSync(stateDirectory(this.deps.paths.state, volume), { recursive: true, force: true });
  }

  /** What CRIU said of one of its two works goes where the API shows it. */
  async keepLog(projectName: string, directory: string, work: 'dump' | 'restore'): Promise<void> {
    const time = `${new Date().toISOString().slice(0, 19)}Z`;
    try {
      await copyFile(`${directory}/${work}.log`, `${this.deps.paths.logs(projectName)}/snapshot_${work}_${time}.log`);
    } catch (error) {
      this.deps.logger.warn('Failed keeping what CRIU said', { instance: projectName, error: messageOf(error) });
    }
  }
}

export function stateDirectory(state: StateDirectory, { pool, kind, name }: VolumeSpec): string {
  return `${state.volume(pool.name, kind, name)}/state`;
}

/** The lines of a log of CRIU's that say what is wrong; empty where there are none. */
export async function criuErrors(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line.includes('Error') || line.includes('Warn')).join('\n');
}
