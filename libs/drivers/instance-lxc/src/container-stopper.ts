import { setTimeout as sleep } from 'node:timers/promises';
import { readStatusField, signalProcess } from '#host';
import { unavailable } from '#kernel';
import type { StopRequest } from '#ports';
import type { ContainerCgroups } from './container-cgroups.js';
import type { InstanceRecords } from './instance-records.js';
import type { RunningContainer, RunningContainers } from './running-containers.js';

const SIGKILL = 9;
const SIGPWR = 30;
/** SIGRTMIN+3 of the C library: how systemd, which blocks it, is told to halt. */
const SIGHALT = 37;
const frozenPatienceMs = 10_000;

/** Ends containers and freezes them. */
export class ContainerStopper {
  constructor(
    private readonly running: RunningContainers,
    private readonly cgroups: ContainerCgroups,
    private readonly records: InstanceRecords,
  ) {}

  /** Returns when everything of the container is gone. Not running is success. `unavailable` when a clean stop takes too long. */
  async stop(request: StopRequest): Promise<void> {
    const container = this.running.get(request.projectName);
    if (container === undefined) return this.running.settled(request.projectName);
    container.stopRequested = true;
    if (request.clean) await this.askToEnd(container, request.timeoutMs);
    else this.kill(container);
    await container.noticed.promise;
    await this.running.end(container);
  }

  private async askToEnd(container: RunningContainer, timeoutMs: number): Promise<void> {
    const { init } = container.record;
    if (this.cgroups.isFrozen(container.record.cgroups)) this.cgroups.setFrozen(container.record.cgroups, false);
    signalProcess(init, this.haltSignal(container));
    if (timeoutMs === 0) return container.noticed.promise;
    const controller = new AbortController();
    const late = sleep(timeoutMs, 'late' as const, { signal: controller.signal }).catch(() => 'ended' as const);
    const outcome = await Promise.race([container.noticed.promise.then(() => 'ended' as const), late]);
    controller.abort();
    if (outcome === 'ended') return;
    // A restart from inside is wanted again.
    container.stopRequested = false;
    throw unavailable('shutting down the container failed');
  }

  private kill(container: RunningContainer): void {
    const { record, projectName } = container;
    signalProcess(record.init, SIGKILL);
    // A frozen process dies only when it is thawed.
    if (this.cgroups.isFrozen(record.cgroups)) this.cgroups.setFrozen(record.cgroups, false);
    void this.watchDeath(container, projectName);
  }

  /** With the monitor alive its hook tells; without one somebody must look. */
  private async watchDeath(container: RunningContainer, projectName: string): Promise<void> {
    for (let pause = 1; this.running.get(projectName) === container; pause = Math.min(pause * 1.5, 50)) await sleep(pause);
  }

  /** As LXC chooses: `lxc.signal.halt` if configured, SIGRTMIN+3 for an init that blocks it, SIGPWR else. */
  private haltSignal({ projectName, record }: RunningContainer): number {
    const configured = /^\s*lxc\.signal\.halt\s*=\s*(\S+)/m.exec(this.records.get(projectName)?.spec?.config['raw.lxc'] ?? '')?.[1];
    if (configured !== undefined) return signalNumber(configured) ?? SIGPWR;
    const blocked = BigInt(`0x${readStatusField(record.init.pid, 'SigBlk') ?? '0'}`);
    return (blocked >> BigInt(SIGHALT - 1)) & 1n ? SIGHALT : SIGPWR;
  }

  async freeze(container: RunningContainer, frozen: boolean): Promise<void> {
    const { cgroups } = container.record;
    this.cgroups.setFrozen(cgroups, frozen);
    const deadline = performance.now() + frozenPatienceMs;
    for (let pause = 1; this.cgroups.isFrozen(cgroups) !== frozen; pause = Math.min(pause * 1.5, 50)) {
      if (performance.now() > deadline) {
        this.cgroups.setFrozen(cgroups, !frozen);
        throw unavailable(`Failed to ${frozen ? 'freeze' : 'unfreeze'} "${container.projectName}" in time`);
      }
      await sleep(pause);
    }
  }
}

const signalNames: Readonly<Record<string, number>> = {
  HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, BUS: 7, FPE: 8, KILL: 9, USR1: 10, SEGV: 11, USR2: 12, PIPE: 13, ALRM: 14, TERM: 15,
  STKFLT: 16, CHLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26, PROF: 27, WINCH: 28, IO: 29,
  PWR: 30, SYS: 31,
};
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** `SIGPWR`, `PWR`, `30`, `SIGRTMIN+3`, `RTMAX-1`, as lxc.container.conf(5) has them; null for others. */
export function signalNumber(text: string): number | null {
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (/^\d+$/.test(name)) return Number(name);
  const [, base, offset] = /^(RTMIN|RTMAX)(?:[+-](\d+))?$/.exec(name) ?? [];
  if (base === 'RTMIN') return SIGRTMIN + Number(offset ?? 0);
  if (base === 'RTMAX') return SIGRTMAX - Number(offset ?? 0);
  return signalNames[name] ?? null;
}
