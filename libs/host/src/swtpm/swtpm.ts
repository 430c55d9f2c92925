import { closeSync, existsSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { forbidden, internal, wrap } from '#kernel';
import { readKernelFile } from '../cgroup/cgroup-files.js';
import { CommandNotFoundError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';
import { isAlive, readProcessStat, signalProcess, type ProcessStamp } from '../proc/process-stamp.js';

/** An emulated TPM that the kernel shows as a device. */
export interface EmulatedTpm {
  readonly process: ProcessStamp;
  /** Of the node the kernel made, and of its resource manager. */
  readonly device: { readonly major: number; readonly minor: number };
  readonly resourceManager: { readonly major: number; readonly minor: number };
}

export interface TpmSetup {
  /** Holds what the TPM remembers; made if it is not there. Whoever made its volume may have put anything there. */
  readonly stateDirectory: string;
  /** What the program says goes here: the number of its device, or why there is none. */
  readonly logFile: string;
  /** Called as soon as there is a process. */
  readonly started: (process: ProcessStamp) => void;
}

const kernelModule = 'tpm_vtpm_proxy';
const SIGKILL = 9;
/** The self-test of a new TPM takes its time on a busy host. */
const patienceMs = 10_000;

/**
 * The software TPM, a process each, which makes its device by the kernel's vtpm proxy: the device lives as long as the process. Processes outlive us, and
 * are found again by their stamp or by the directory of their state.
 */
export class Swtpm {
  /** `sysfs` is where the kernel shows devices and modules. */
  constructor(private readonly commands: CommandRunner, private readonly sysfs = '/sys', private readonly program = 'swtpm') {}

  /** @throws in LXD's words when the program or the kernel's side is missing. */
  async check(): Promise<void> {
    try {
      await this.commands.run({ argv: [this.program, '--help'], okExitCodes: [0, 1] });
    } catch (error) {
      throw error instanceof CommandNotFoundError ? internal("Required tool 'swtpm' is missing", { cause: error }) : error;
    }
    if (existsSync(`${this.sysfs}/module/${kernelModule}`)) return;
    try {
      await this.commands.run({ argv: ['modprobe', '-b', kernelModule] });
    } catch (error) {
      throw wrap(error, `Failed to load kernel module "${kernelModule}"`);
    }
  }

  /** Resolves when its device is there. @throws in LXD's words, with no process left, when none comes. */
  async start({ stateDirectory, logFile, started }: TpmSetup): Promise<EmulatedTpm> {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
    refuseLinks(stateDirectory);
    const output = openSync(logFile, 'w', 0o640);
    try {
      const child = await this.commands.spawn({
        argv: [this.program, 'chardev', '--tpm2', '--tpmstate', `dir=${stateDirectory}`, '--vtpm-proxy'], descriptors: ['ignore', output, output], outlivesUs: true,
      });
      const process = readProcessStat(child.pid) ?? { pid: child.pid, startTicks: 0 };
      started(process);
      const numbers = await this.numbers(process, logFile);
      if (numbers !== null) return { process: { pid: process.pid, startTicks: process.startTicks }, ...numbers };
      child.killGroup('SIGKILL');
      await child.exited;
      throw internal('Failed to get TPM device information', { details: { said: readFileSync(logFile, 'utf8').trim() } });
    } finally {
      closeSync(output);
    }
  }

  /** Ends it, and with it its device. */
  stop(tpm: ProcessStamp): void {
    signalProcess(tpm, SIGKILL);
  }

  /** One that keeps its state there, whoever started it; looks at every process of the host. */
  find(stateDirectory: string): ProcessStamp | null {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const words = (readKernelFile(`/proc/${name}/cmdline`) ?? '').split('\0');
      if (!words.includes('--vtpm-proxy') || !words.includes(`dir=${stateDirectory}`)) continue;
      const stat = readProcessStat(Number(name));
      if (stat !== null && isAlive(stat)) return { pid: stat.pid, startTicks: stat.startTicks };
    }
    return null;
  }

  private async numbers(process: ProcessStamp, logFile: string): Promise<Pick<EmulatedTpm, 'device' | 'resourceManager'> | null> {
    const deadline = performance.now() + patienceMs;
    for (let pause = 2; isAlive(process) && performance.now() < deadline; pause = Math.min(pause * 1.5, 100)) {
      const found = parseTpmDevice(readFileSync(logFile, 'latin1'));
      const manager = found === null ? null : parseNumbers(readKernelFile(`${this.sysfs}/class/tpmrm/tpmrm${found.number}/dev`) ?? '');
      if (found !== null && manager !== null) return { device: found.device, resourceManager: manager };
      await sleep(pause);
    }
    return null;
  }
}

/** The program opens what is in there as root, by name. @throws `forbidden` where that would lead elsewhere. */
function refuseLinks(directory: string): void {
  if (!lstatSync(directory).isDirectory()) throw forbidden(`"${directory}" is not a directory of its own`);
  const strange = readdirSync(directory).find((name) => {
    const found = lstatSync(`${directory}/${name}`);
    return !found.isFile() || found.nlink !== 1;
  });
  if (strange !== undefined) throw forbidden(`"${directory}/${strange}" is not a plain file`);
}

/** `New TPM device: /dev/tpm0 (major/minor = 10/224)`; null where the program has not said it. */
export function parseTpmDevice(text: string): { readonly number: number; readonly device: { readonly major: number; readonly minor: number } } | null {
  const [, number, major, minor] = /New TPM device: \/dev\/tpm(\d+) \(major\/minor = (\d+)\/(\d+)\)/.exec(text) ?? [];
  return number === undefined ? null : { number: Number(number), device: { major: Number(major), minor: Number(minor) } };
}

function parseNumbers(text: string): { major: number; minor: number } | null {
  const [, major, minor] = /^(\d+):(\d+)$/.exec(text.trim()) ?? [];
  return major === undefined ? null : { major: Number(major), minor: Number(minor) };
}
