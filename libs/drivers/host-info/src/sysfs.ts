import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/**
 * Reading of kernel files. Hardware differs and so does what its drivers tell: whatever is not there reads as the empty text, 0 or
 * nothing at all. `root` is put before every path, so that specs can bring a tree of their own.
 */
export class Sysfs {
  constructor(private readonly root = '') {}

  /** Content without white space around it. */
  async text(path: string): Promise<string> {
    try {
      return (await readFile(`${this.root}${path}`, 'utf8')).trim();
    } catch {
      return ''; // Absent, or a driver that refuses to answer.
    }
  }

  /** Decimal, or hexadecimal with `0x`. */
  async number(path: string): Promise<number> {
    const value = Number((await this.text(path)) || '0');
    return Number.isFinite(value) ? value : 0;
  }

  async bytes(path: string): Promise<Buffer | null> {
    try {
      return await readFile(`${this.root}${path}`);
    } catch {
      return null; // No such file.
    }
  }

  /** Text of a file, or of its compressed copy (`.gz`). */
  async textOrCompressed(path: string): Promise<string> {
    const text = await this.text(path);
    const compressed = text === '' ? await this.bytes(`${path}.gz`) : null;
    return compressed === null ? text : (await promisify(gunzip)(compressed)).toString();
  }

  /** Names in a directory, in the order of their bytes. */
  async names(path: string): Promise<string[]> {
    try {
      return (await readdir(`${this.root}${path}`)).sort();
    } catch {
      return []; // This host has none of these.
    }
  }

  /** Last part of a link's target; empty without. */
  async linkName(path: string): Promise<string> {
    try {
      return basename(await readlink(`${this.root}${path}`));
    } catch {
      return ''; // Not bound.
    }
  }

  /** Where a path leads when all links are followed, below the root; empty without. */
  async resolve(path: string): Promise<string> {
    try {
      return (await realpath(`${this.root}${path}`)).slice(this.root.length);
    } catch {
      return ''; // Not there.
    }
  }

  async exists(path: string): Promise<boolean> {
    try {
      await lstat(`${this.root}${path}`);
      return true;
    } catch {
      return false;
    }
  }
}

/** `0-3,8` as numbers. */
export function parseNumberList(text: string): number[] {
  return text.split(',').filter((part) => part !== '').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Leaves out what is empty or 0: fields that LXD sends only where there is something to say. */
export function present<T extends Record<string, unknown>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '' && value !== 0 && value !== null && value !== undefined)) as Partial<T>;
}
