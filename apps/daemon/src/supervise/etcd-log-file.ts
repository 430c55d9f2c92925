import { closeSync, copyFileSync, existsSync, fstatSync, mkdirSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';

const maxBytes = 4 * 1024 * 1024;
const tailBytes = 16 * 1024;
const checkMs = 30_000;

/**
 * What etcd says, in a file and not in a pipe: a pipe would end with the daemon, and etcd with it. etcd appends, so the file can be copied to `.1` and
 * emptied below it; at most the last two times 4 MiB are kept.
 */
export class EtcdLogFile {
  private start = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly path: string) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.rotate();
    this.start = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.timer = setInterval(() => this.rotate(), checkMs).unref();
  }

  /** A descriptor to write to; the caller closes it. */
  open(): number {
    return openSync(this.path, 'a', 0o600);
  }

  /** What was written since this object was made, the end of it. */
  tail(): string {
    if (!existsSync(this.path)) return '';
    const fd = openSync(this.path, 'r');
    try {
      const { size } = fstatSync(fd);
      const from = Math.max(this.start, size - tailBytes);
      const bytes = Buffer.alloc(Math.max(0, size - from));
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from)).toString('utf8');
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    clearInterval(this.timer);
  }

  private rotate(): void {
    try {
      if ((statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) <= maxBytes) return;
      copyFileSync(this.path, `${this.path}.1`);
      truncateSync(this.path, 0);
      this.start = 0;
    } catch {
      // A full disk: the next round tries again, and etcd goes on either way.
    }
  }
}
