import type { CommandRunner, RunningChild } from '../command.js';
import { messageOf, type Logger } from '#kernel';

export interface Uevent {
  /** `add`, `remove`, `change`, `bind`, ... */
  readonly action: string;
  /** `-` for none. */
  readonly subsystem: string;
  /** Below /sys. */
  readonly path: string;
}

const restartMs = 1000;

/** A line of `roost-helper uevents`; null for its greeting. */
export function parseUevent(line: string): Uevent | null {
  const [action = '', subsystem = '-', ...path] = line.split(' ');
  return action === '' || action === 'ready' ? null : { action, subsystem, path: path.join(' ') };
}

/** The kernel's messages about devices, by a helper process that runs while somebody wants them. One that dies is started again. */
export class UeventReader {
  private child: Promise<RunningChild> | undefined;
  private listener: ((event: Uevent) => void) | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly commands: CommandRunner, private readonly helperPath: string, private readonly logger: Logger) {}

  /** Calls the listener for each message from now on; another one takes its place. */
  start(listener: (event: Uevent) => void): void {
    this.listener = listener;
    if (this.child === undefined && this.timer === undefined) this.launch();
  }

  stop(): void {
    this.listener = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    const child = this.child;
    this.child = undefined;
    void child?.then((running) => running.killGroup('SIGTERM'), () => {});
  }

  private launch(): void {
    const child = this.commands.spawn({ argv: [this.helperPath, 'uevents'], descriptors: ['ignore', 'pipe', 'ignore'] });
    this.child = child;
    child.then((running) => this.read(running, child), (error: unknown) => this.lost(child, messageOf(error)));
  }

  private read(running: RunningChild, child: Promise<RunningChild>): void {
    let partial = '';
    const pipe = running.pipes.get(1);
    pipe?.on('error', () => {}).unref();
    pipe?.on('data', (chunk: Buffer) => {
      const lines = (partial + chunk.toString('latin1')).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) {
        const event = parseUevent(line);
        if (event !== null) this.listener?.(event);
      }
    });
    void running.exited.then(() => this.lost(child, 'it ended'));
  }

  private lost(child: Promise<RunningChild>, reason: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    this.logger.warn('The reader of device events is gone', { reason });
    this.timer = setTimeout(() => {
      this.timer = undefined;
      const { listener } = this;
      if (listener === undefined) return;
      this.launch();
      // What happened meanwhile went unheard.
      listener({ action: 'change', subsystem: '-', path: '' });
    }, restartMs).unref();
  }
}
