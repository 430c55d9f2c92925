import { AppError, internal, unavailable } from '#kernel';
import type { CommandRunner } from '../command.js';
import type { ProcessStamp } from '../proc/process-stamp.js';
import { nativeFile, rangesText, type ShiftRange } from '../roost-helper/roost-helper.js';

/** What a server shows as `/`: a running container's files, or a directory's. */
export type ServedFiles =
  | { readonly init: ProcessStamp }
  | {
      readonly path: string;
      /** Ids inside by ids on the host; empty shows them as they are. */
      readonly idmap: readonly ShiftRange[];
      /** The files have the ids that `idmap` calls inside ones. */
      readonly unshifted: boolean;
    };

export interface FileServerRequest {
  /** Made here, for this user alone. At most 107 bytes. */
  readonly socket: string;
  readonly uid: number;
  readonly gid: number;
  readonly files: ServedFiles;
}

const readyMs = 10_000;

/** An SFTP server in a process that sees nothing but the files it serves: libs/host/native/files. It ends after ten seconds without use. */
export class FileServer {
  private constructor(
    /** Resolves when it has ended; never rejects. */
    readonly exited: Promise<unknown>,
    private readonly input: NodeJS.WritableStream | undefined,
    private readonly kill: () => void,
  ) {}

  /** Resolves when its socket accepts. @throws `internal` with the server's own words. */
  static async start(commands: CommandRunner, { socket, uid, gid, files }: FileServerRequest): Promise<FileServer> {
    const where = 'init' in files
      ? ['running', `${files.init.pid}`, `${files.init.startTicks}`]
      : ['tree', files.path, rangesText(files.idmap), files.unshifted ? 'mapped' : 'plain'];
    const child = await commands.spawn({ argv: [nativeFile('roost-files'), socket, `${uid}`, `${gid}`, ...where], descriptors: ['pipe', 'pipe'], captureStderr: true, outlivesUs: true });
    for (const pipe of child.pipes.values()) pipe.on('error', () => {}).unref();
    const ready = Promise.withResolvers<void>();
    child.pipes.get(1)?.once('data', () => ready.resolve());
    const timer = setTimeout(() => ready.reject(unavailable('The server of files does not get ready')), readyMs);
    void child.exited.then(({ stderrTail }) => ready.reject(internal(stderrTail === '' ? 'The server of files ended' : stderrTail)));
    try {
      await ready.promise;
    } catch (error) {
      child.killGroup('SIGKILL');
      throw error instanceof AppError ? error : internal('Failed starting the server of files', { cause: error });
    } finally {
      clearTimeout(timer);
    }
    return new FileServer(child.exited, child.pipes.get(0), () => child.killGroup('SIGKILL'));
  }

  /** It stays for another ten seconds. */
  touch(): void {
    this.input?.write('.');
  }

  /** With its connections. */
  async end(): Promise<void> {
    this.kill();
    await this.exited;
  }
}
