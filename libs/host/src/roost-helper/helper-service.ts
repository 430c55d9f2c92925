import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandRunner, RunningChild } from '../command.js';
import { messageOf, type Logger } from '#kernel';

export interface GuestDoorOptions {
  /** Where containers call; replaced in one go. */
  readonly socket: string;
  /** Where the daemon takes them over. */
  readonly daemonSocket: string;
  /** Cgroup above all containers of this member, relative to each hierarchy. */
  readonly cgroupRoot: string;
  /** Nobody else may be listening at the daemon's socket. */
  readonly daemonUid: number;
}

const restartMs = 500;

/** The C helper as a server for containers. It ends with us, and is started again when it ends before. */
export class HelperService {
  private child: RunningChild | undefined;
  private closed = false;

  private constructor(private readonly commands: CommandRunner, private readonly argv: readonly string[], private readonly logger: Logger) {}

  /** The door of the guest API (libs/host/native/guests.c). */
  static guests(commands: CommandRunner, path: string, { socket, daemonSocket, cgroupRoot, daemonUid }: GuestDoorOptions, logger: Logger): HelperService {
    return new HelperService(commands, [path, 'guests', socket, daemonSocket, cgroupRoot, `${daemonUid}`], logger);
  }

  /** Carries out system calls for containers (libs/host/native/syscalls.c); `settings` is a directory with a file for each. */
  static syscalls(commands: CommandRunner, path: string, socket: string, settings: string, logger: Logger): HelperService {
    return new HelperService(commands, [path, 'syscalls', socket, settings], logger);
  }

  open(): void {
    void this.keep();
  }

  close(): void {
    this.closed = true;
    this.child?.pipes.get(0)?.destroy();
  }

  private async keep(): Promise<void> {
    while (!this.closed) {
      try {
        const child = await this.commands.spawn({ argv: this.argv, descriptors: ['pipe', 'ignore', 'pipe'], captureStderr: true, outlivesUs: true });
        this.child = child;
        for (const pipe of child.pipes.values()) pipe.on('error', () => {}).unref();
        if (this.closed) child.pipes.get(0)?.destroy();
        const { stderrTail, signal } = await child.exited;
        if (!this.closed) this.logger.warn('A helper is gone, starting it again', { what: this.argv[1] ?? '', why: stderrTail.trim() || (signal ?? '') });
      } catch (error) {
        this.logger.error('Failed starting a helper', { what: this.argv[1] ?? '', error: messageOf(error) });
      }
      await sleep(restartMs, undefined, { ref: false });
    }
  }
}
