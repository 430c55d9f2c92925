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

/** The C helper at the door of the guest API (libs/host/native/guests.c). It ends with us, and is started again when it ends before. */
export class GuestDoor {
  private child: RunningChild | undefined;
  private closed = false;

  constructor(private readonly commands: CommandRunner, private readonly path: string, private readonly options: GuestDoorOptions, private readonly logger: Logger) {}

  open(): void {
    void this.keep();
  }

  close(): void {
    this.closed = true;
    this.child?.pipes.get(0)?.destroy();
  }

  private async keep(): Promise<void> {
    const { socket, daemonSocket, cgroupRoot, daemonUid } = this.options;
    while (!this.closed) {
      try {
        const child = await this.commands.spawn({
          argv: [this.path, 'guests', socket, daemonSocket, cgroupRoot, `${daemonUid}`], descriptors: ['pipe', 'ignore', 'pipe'], captureStderr: true, outlivesUs: true,
        });
        this.child = child;
        for (const pipe of child.pipes.values()) pipe.on('error', () => {}).unref();
        if (this.closed) child.pipes.get(0)?.destroy();
        const { stderrTail, signal } = await child.exited;
        if (!this.closed) this.logger.warn('The door of the guest API is gone, opening it again', { why: stderrTail.trim() || (signal ?? '') });
      } catch (error) {
        this.logger.error('Failed opening the door of the guest API', { error: messageOf(error) });
      }
      await sleep(restartMs, undefined, { ref: false });
    }
  }
}
