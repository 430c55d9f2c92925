import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { CgroupDirectories, ProcessStamp } from '#host';
import type { InstanceSpec } from '#ports';
import type { LxcPaths } from './lxc-paths.js';
import { writeWhole } from './whole-files.js';

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

/** No record's: those end with `.json`. */
const departedFile = 'departed';
const mostDeparted = 1000;

/** One JSON file per local instance below the run directory, so that a restarted agent knows what the last one knew. */
export class InstanceRecords {
  private readonly records = new Map<string, InstanceRecord>();
  /** By the instance's id: the lowest placement that is believed of one that was taken apart here. */
  private readonly departed = new Map<number, number>();

  constructor(private readonly paths: LxcPaths) {}

  /** Reads all records. One that cannot be read is dropped: what runs is found again through its cgroup. */
  load(): void {
    mkdirSync(this.paths.records, { recursive: true, mode: 0o700 });
    this.loadDeparted();
    for (const file of readdirSync(this.paths.records)) {
      if (!file.endsWith('.json')) continue;
      try {
        this.records.set(file.slice(0, -'.json'.length), JSON.parse(readFileSync(`${this.paths.records}/${file}`, 'utf8')) as InstanceRecord);
      } catch {
        rmSync(`${this.paths.records}/${file}`, { force: true });
      }
    }
  }

  /**
   * The lowest placement epoch a specification may have. One that was taken apart here comes back with a higher one, by a move, or by being made known again:
   * whoever slept while it left must not start it (hazards B1).
   */
  lowestEpoch({ id, projectName }: Pick<InstanceSpec, 'id' | 'projectName'>): number {
    return Math.max(this.records.get(projectName)?.placementEpoch ?? 0, this.departed.get(id) ?? 0);
  }

  /** Made known again, by a daemon that has seen where it is. */
  arrived(id: number): void {
    if (this.departed.delete(id)) this.writeDeparted();
  }

  /** Taken apart: forgotten but for its placement. */
  depart(projectName: string): void {
    const record = this.records.get(projectName);
    this.delete(projectName);
    if (record?.spec === undefined || record.spec === null) return;
    this.departed.delete(record.spec.id);
    this.departed.set(record.spec.id, record.placementEpoch + 1);
    const [oldest] = this.departed.keys();
    if (this.departed.size > mostDeparted && oldest !== undefined) this.departed.delete(oldest);
    this.writeDeparted();
  }

  names(): string[] {
    return [...this.records.keys()];
  }

  get(projectName: string): InstanceRecord | undefined {
    return this.records.get(projectName);
  }

  set(projectName: string, record: InstanceRecord): void {
    const path = this.paths.record(projectName);
    writeWhole(path, record);
    this.records.set(projectName, record);
  }

  delete(projectName: string): void {
    rmSync(this.paths.record(projectName), { force: true });
    this.records.delete(projectName);
  }

  private loadDeparted(): void {
    try {
      for (const [id, epoch] of JSON.parse(readFileSync(`${this.paths.records}/${departedFile}`, 'utf8')) as [number, number][]) this.departed.set(id, epoch);
    } catch {
      // None has left yet, or the file is of no use; rows say where instances are, this only guards against who has not read them.
    }
  }

  private writeDeparted(): void {
    writeWhole(`${this.paths.records}/${departedFile}`, [...this.departed]);
  }
}
