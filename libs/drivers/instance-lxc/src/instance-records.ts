import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { CgroupDirectories, ProcessStamp } from '#host';
import type { InstanceSpec } from '#ports';
import type { LxcPaths } from './lxc-paths.js';

/** A container that runs, or did when this was written. */
export interface RunningRecord {
  readonly init: ProcessStamp;
  /** Null for one that was found without its monitor. */
  readonly monitor: ProcessStamp | null;
  /** Control directories of its payload by controller; `''` for the unified hierarchy. */
  readonly cgroups: CgroupDirectories;
  readonly startedAt: string;
  /** Device name to the host's end of its veth. */
  readonly hostNames: Readonly<Record<string, string>>;
}

export interface InstanceRecord {
  /** Null for a container that was found running without a record. */
  readonly spec: InstanceSpec | null;
  /** Highest seen; a specification with a lower one is refused (hazards B1). */
  readonly placementEpoch: number;
  readonly running: RunningRecord | null;
}

/** One JSON file per local instance below the run directory, so that a restarted agent knows what the last one knew. */
export class InstanceRecords {
  private readonly records = new Map<string, InstanceRecord>();

  constructor(private readonly paths: LxcPaths) {}

  /** Reads all records. One that cannot be read is dropped: what runs is found again through its cgroup. */
  load(): void {
    mkdirSync(this.paths.records, { recursive: true, mode: 0o700 });
    for (const file of readdirSync(this.paths.records)) {
      if (!file.endsWith('.json')) continue;
      try {
        this.records.set(file.slice(0, -'.json'.length), JSON.parse(readFileSync(`${this.paths.records}/${file}`, 'utf8')) as InstanceRecord);
      } catch {
        rmSync(`${this.paths.records}/${file}`, { force: true });
      }
    }
  }

  names(): string[] {
    return [...this.records.keys()];
  }

  get(projectName: string): InstanceRecord | undefined {
    return this.records.get(projectName);
  }

  set(projectName: string, record: InstanceRecord): void {
    const path = this.paths.record(projectName);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.records.set(projectName, record);
  }

  delete(projectName: string): void {
    rmSync(this.paths.record(projectName), { force: true });
    this.records.delete(projectName);
  }
}
