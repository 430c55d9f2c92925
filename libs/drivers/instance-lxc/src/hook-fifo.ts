import { closeSync, constants, lstatSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import { makeFifo } from '#host';

/** What LXC's post-stop hook said: the container has ended, for good or to come again. */
export interface HookLine {
  readonly projectName: string;
  readonly target: 'stop' | 'reboot';
}

/**
 * The FIFO that hooks write to (hazards E1). It is held open for reading and writing, so that it never reports an end and a hook that
 * writes while nobody reads loses nothing; a hook without any agent finds no reader and goes on.
 */
export class HookFifo {
  private socket: net.Socket | undefined;
  private writer: number | undefined;

  constructor(private readonly path: string, private readonly onLine: (line: HookLine) => void) {}

  open(): void {
    const existing = lstatSync(this.path, { throwIfNoEntry: false });
    if (existing !== undefined && !existing.isFIFO()) rmSync(this.path, { recursive: true });
    if (existing === undefined || !existing.isFIFO()) makeFifo(this.path, 0o600);
    const reader = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writer = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK);
    this.socket = new net.Socket({ fd: reader, readable: true, writable: false });
    let rest = '';
    this.socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const parsed = parseHookLine(line);
        if (parsed !== null) this.onLine(parsed);
      }
    });
    this.socket.unref();
  }

  close(): void {
    this.socket?.destroy();
    if (this.writer !== undefined) closeSync(this.writer);
  }
}

/** `NAME stop` or `NAME reboot`; null for anything else. */
export function parseHookLine(line: string): HookLine | null {
  const [, projectName, target] = /^(\S+) (stop|reboot)$/.exec(line) ?? [];
  return projectName === undefined ? null : { projectName, target: target as HookLine['target'] };
}
