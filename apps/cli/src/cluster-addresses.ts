import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { AppError } from '#kernel';
import { url, type Server } from './server.js';

/** How long the members of a cluster are believed to be the same. */
const freshMs = 3600_000;
/** How long the member a remote names is waited for alone. */
const staggerMs = 2000;

interface Known {
  readonly at: number;
  /** What the remote named then: it may be another cluster by now. */
  readonly of: string;
  readonly urls: readonly string[];
}

/**
 * Where the members of clusters are, kept in the configuration's directory, so that a remote goes on working while the member it names does not. They all
 * show the certificate that was accepted for the remote.
 */
export class ClusterAddresses {
  constructor(private readonly directory: string) {}

  /** Addresses of a remote's cluster but for the one it names. */
  others(remote: string, address: string): readonly string[] {
    return this.read(remote, address).urls.filter((one) => one !== address);
  }

  /** After a server of a remote has answered. What cannot be kept is asked again next time. */
  async remember(remote: string, address: string, server: Server): Promise<void> {
    if (!server.clustered || new Date().getTime() - this.read(remote, address).at < freshMs) return;
    try {
      const members = await server.get<{ url: string }[]>(url(['cluster', 'members'], { recursion: 1 }));
      const known: Known = { at: new Date().getTime(), of: address, urls: members.map((member) => member.url) };
      mkdirSync(this.folder, { recursive: true, mode: 0o750 });
      writeFileSync(`${this.file(remote)}.new`, JSON.stringify(known), { mode: 0o600 });
      renameSync(`${this.file(remote)}.new`, this.file(remote));
    } catch {
      // A restricted client may not see them.
    }
  }

  private read(remote: string, address: string): Known {
    const nothing: Known = { at: 0, of: address, urls: [] };
    try {
      const known = JSON.parse(readFileSync(this.file(remote), 'utf8')) as Known;
      return known.of === address ? known : nothing;
    } catch {
      return nothing;
    }
  }

  private get folder(): string { return `${this.directory}/members`; }

  private file(remote: string): string { return `${this.folder}/${encodeURIComponent(remote)}.json`; }
}

/**
 * The first server that answers: the first at once, each further one when those before it cannot be reached or say nothing for a while. Any other complaint
 * counts at once, a certificate that is not the known one above all.
 */
export async function firstToAnswer(connects: readonly (() => Promise<Server>)[], pauseMs = staggerMs): Promise<{ readonly server: Server; readonly index: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ server: Server; index: number }>();
  let over = false;
  let failed = 0;
  let first: unknown;
  let timer: NodeJS.Timeout | undefined;
  const end = (action: () => void): void => {
    over = true;
    clearTimeout(timer);
    action();
  };
  const start = (index: number): void => {
    if (over || index >= connects.length) return;
    let next = (): void => {
      next = () => undefined;
      clearTimeout(timer);
      start(index + 1);
    };
    timer = setTimeout(() => next(), pauseMs);
    connects[index]!().then((server) => {
      if (over) server.close();
      else end(() => resolve({ server, index }));
    }, (error: unknown) => {
      if (over) return;
      first ??= error;
      if (!isUnreachable(error)) return end(() => reject(error as Error));
      // What the user named is what he is told of.
      if (++failed === connects.length) return end(() => reject(first as Error));
      next();
    });
  };
  start(0);
  return promise;
}

function isUnreachable(error: unknown): boolean {
  return AppError.is(error, 'unavailable') && !/x509/.test(error.message);
}
