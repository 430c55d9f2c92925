import net from 'node:net';
import { Transform, type Readable } from 'node:stream';
import { AppError, forbidden, internal, notFound, unavailable } from '#kernel';
import { goQuote } from './go-quote.rules.js';
import { PacketReader, PacketSplitter, PacketWriter, sftp, sftpStatus, type AttributeChange, type FileAttributes } from './sftp-packets.js';

const protocolVersion = 3;
const longestPacket = 1024 * 1024 + 1024;

/** A path as the file system has it: bytes, which need not be UTF-8. */
export type SftpPath = string | Buffer;
export type FileHandle = Buffer;

interface Answer {
  readonly type: number;
  readonly reader: PacketReader;
}

/** An answer that says no, with the server's words. */
class SftpStatusError extends Error {
  constructor(readonly code: number, readonly words: Buffer) {
    super(words.toString('utf8'));
  }
}

/**
 * One connection to a server of files (`InstanceFiles.openFiles`). Answers come in the order of the requests. Errors are LXD's: `not-found` and `forbidden`
 * with its bare words, the rest in those of its own SFTP client. Whole files go past the messages: after `get` or `put` a connection is used up.
 */
export class SftpClient {
  private readonly waiting: PromiseWithResolvers<Answer>[] = [];
  private readonly splitter = new PacketSplitter();
  private nextId = 1;
  private failure: AppError | undefined;
  private usedUp = false;
  /** Files that are open. */
  private readonly handles = new Set<FileHandle>();
  private readonly onData = (chunk: Buffer): void => this.read(chunk);

  private constructor(readonly socket: net.Socket) {
    socket.on('data', this.onData);
    for (const event of ['error', 'close', 'end'] as const) socket.on(event, () => this.fail(unavailable('The server of files went away')));
  }

  /** @throws `unavailable` when nobody listens there. */
  static async connect(path: string): Promise<SftpClient> {
    const socket = await connectTo(path);
    const client = new SftpClient(socket);
    socket.write(new PacketWriter(sftp.init).number(protocolVersion).finish());
    const version = await client.answer();
    if (version.type !== sftp.version) throw internal('The server of files speaks something else');
    return client;
  }

  close(): void {
    this.socket.destroy();
  }

  /** Whether somebody else may use the connection. */
  get isUsable(): boolean {
    return !this.usedUp && this.failure === undefined;
  }

  /** Called once the connection is lost. */
  onceLost(listener: () => void): void {
    this.socket.once('close', listener);
  }

  /** Closes what was opened, for the next user. */
  release(): void {
    for (const handle of this.handles) this.ask(sftp.close, sftp.status, (packet) => packet.bytes(handle)).catch(() => undefined);
    this.handles.clear();
  }

  /** Of the name itself, not of what a link leads to. */
  async lstat(path: SftpPath): Promise<FileAttributes> {
    return (await this.ask(sftp.lstat, sftp.attrs, (packet) => packet.text(path))).attributes();
  }

  async fstat(handle: FileHandle): Promise<FileAttributes> {
    return (await this.ask(sftp.fstat, sftp.attrs, (packet) => packet.bytes(handle))).attributes();
  }

  /** `flags` of `sftpOpen`. A file that is made has `mode` from the first moment. */
  async open(path: SftpPath, flags: number, mode?: number): Promise<FileHandle> {
    return this.remember(await this.ask(sftp.open, sftp.handle, (packet) => packet.text(path).number(flags).change(mode === undefined ? {} : { mode })));
  }

  async fsetstat(handle: FileHandle, change: AttributeChange): Promise<void> {
    await this.ask(sftp.fsetstat, sftp.status, (packet) => packet.bytes(handle).change(change));
  }

  /** Of a link itself, should there be one by now. */
  async lsetstat(path: SftpPath, change: AttributeChange): Promise<void> {
    await this.ask(sftp.extended, sftp.status, (packet) => packet.text('lsetstat@openssh.com').text(path).change(change));
  }

  async mkdir(path: SftpPath, mode: number): Promise<void> {
    await this.ask(sftp.mkdir, sftp.status, (packet) => packet.text(path).change({ mode }));
  }

  /** A file, a link, or an empty directory. */
  async remove(path: SftpPath): Promise<void> {
    const answer = await this.send(sftp.remove, (packet) => packet.text(path));
    try {
      expect(answer, sftp.status);
    } catch (error) {
      if (!(error instanceof SftpStatusError) || error.code !== sftpStatus.failure) throw asAppError(error);
      await this.ask(sftp.rmdir, sftp.status, (packet) => packet.text(path));
    }
  }

  async rename(from: SftpPath, to: SftpPath): Promise<void> {
    await this.ask(sftp.extended, sftp.status, (packet) => packet.text('posix-rename@openssh.com').text(from).text(to));
  }

  async symlink(target: SftpPath, path: SftpPath): Promise<void> {
    await this.ask(sftp.symlink, sftp.status, (packet) => packet.text(target).text(path));
  }

  async readlink(path: SftpPath): Promise<Buffer> {
    const reader = await this.ask(sftp.readlink, sftp.name, (packet) => packet.text(path));
    reader.number();
    return Buffer.from(reader.bytes());
  }

  /** Names in a directory, in its own order. */
  async readdir(path: SftpPath): Promise<string[]> {
    const handle = this.remember(await this.ask(sftp.opendir, sftp.handle, (packet) => packet.text(path)));
    const names: string[] = [];
    for (;;) {
      const reader = await this.ask(sftp.readdir, sftp.name, (packet) => packet.bytes(handle), sftpStatus.eof);
      if (reader === null) return names;
      for (let left = reader.number(); left > 0; left--) {
        names.push(reader.text());
        reader.bytes();
        reader.attributes();
      }
    }
  }

  /** At most 1 MiB from `offset` on; empty at the file's end. */
  async readBytes(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
    const reader = await this.ask(sftp.read, sftp.data, (packet) => packet.bytes(handle).long(offset).number(length), sftpStatus.eof);
    return reader === null ? Buffer.alloc(0) : Buffer.from(reader.bytes());
  }

  async writeBytes(handle: FileHandle, offset: number, bytes: Buffer): Promise<void> {
    await this.ask(sftp.write, sftp.status, (packet) => packet.bytes(handle).long(offset).bytes(bytes));
  }

  /** That many bytes from `offset` on; the stream fails when the file became shorter meanwhile. Ends the connection. */
  async get(handle: FileHandle, offset: number, length: number): Promise<Readable> {
    this.usedUp = true;
    await this.ask(sftp.extended, sftp.status, (packet) => packet.text('get@roost').bytes(handle).long(offset).long(length), undefined, () => {
      // What comes from here on is the file.
      this.socket.pause();
      this.socket.off('data', this.onData);
      const rest = this.splitter.remainder();
      if (rest.length > 0) this.socket.unshift(rest);
    });
    const exact = exactly(length, () => this.close());
    this.socket.once('error', (error) => exact.destroy(error));
    this.socket.pipe(exact);
    return exact;
  }

  /** All of `source`, written from `offset` on (or appended, as it was opened). Ends the connection. */
  async put(handle: FileHandle, offset: number, source: Readable): Promise<void> {
    this.usedUp = true;
    await this.ask(sftp.extended, sftp.status, (packet) => packet.text('put@roost').bytes(handle).long(offset));
    const outcome = this.answer();
    // A sender that goes away in the middle: what came so far is written, as with any copy that is broken off.
    const abandon = (): void => void this.socket.destroy();
    source.once('error', abandon);
    source.once('close', () => source.readableEnded || abandon());
    source.pipe(this.socket);
    try {
      expectOrThrow(await outcome, sftp.status);
    } finally {
      source.unpipe(this.socket);
      source.off('error', abandon);
    }
  }

  private remember(reader: PacketReader): FileHandle {
    const handle = Buffer.from(reader.bytes());
    this.handles.add(handle);
    return handle;
  }

  private async ask(type: number, wanted: number, fill: (packet: PacketWriter) => void): Promise<PacketReader>;
  private async ask(type: number, wanted: number, fill: (packet: PacketWriter) => void, end: number): Promise<PacketReader | null>;
  private async ask(type: number, wanted: number, fill: (packet: PacketWriter) => void, end: undefined, onAnswer: () => void): Promise<PacketReader>;
  /** Null when the answer is the status `end`. */
  private async ask(type: number, wanted: number, fill: (packet: PacketWriter) => void, end?: number, onAnswer?: () => void): Promise<PacketReader | null> {
    const answer = await this.send(type, fill, onAnswer);
    try {
      return expect(answer, wanted);
    } catch (error) {
      if (error instanceof SftpStatusError && error.code === end) return null;
      throw asAppError(error);
    }
  }

  private send(type: number, fill: (packet: PacketWriter) => void, onAnswer?: () => void): Promise<Answer> {
    const packet = new PacketWriter(type).number(this.nextId++);
    fill(packet);
    const answer = this.answer(onAnswer);
    if (this.failure === undefined) this.socket.write(packet.finish());
    return answer;
  }

  /** The next one. `onAnswer` is called before anything that follows it is looked at. */
  private answer(onAnswer?: () => void): Promise<Answer> {
    const waiting = Promise.withResolvers<Answer>();
    if (this.failure !== undefined) waiting.reject(this.failure);
    else this.waiting.push(onAnswer === undefined ? waiting : { ...waiting, resolve: (answer) => { onAnswer(); waiting.resolve(answer); } });
    return waiting.promise;
  }

  private read(chunk: Buffer): void {
    try {
      this.splitter.push(chunk);
      // One at a time: after the answer to a `get` there are no more messages.
      for (let packet = this.splitter.next(longestPacket); packet !== null; packet = this.splitter.next(longestPacket)) this.take(packet);
    } catch (error) {
      this.fail(asAppError(error));
      this.close();
    }
  }

  private take(packet: Buffer): void {
    const reader = new PacketReader(packet);
    const type = reader.byte();
    // Behind it: the version, or the id of the request.
    reader.number();
    this.waiting.shift()?.resolve({ type, reader });
  }

  private fail(error: AppError): void {
    this.failure ??= error;
    for (const waiting of this.waiting.splice(0)) waiting.reject(this.failure);
  }
}

async function connectTo(path: string): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = net.connect({ path, allowHalfOpen: true });
  socket.once('connect', resolve);
  socket.once('error', reject);
  await promise.catch((error: unknown) => {
    throw unavailable('The server of files does not answer', { cause: error });
  });
  socket.off('error', reject);
  return socket;
}

/** @throws `SftpStatusError` for a status that says no. */
function expect({ type, reader }: Answer, wanted: number): PacketReader {
  if (type === sftp.status) {
    const code = reader.number();
    if (code !== sftpStatus.ok || wanted !== sftp.status) throw new SftpStatusError(code, reader.bytes());
  } else if (type !== wanted) throw internal('The server of files sent another answer than asked for');
  return reader;
}

function expectOrThrow(answer: Answer, wanted: number): PacketReader {
  try {
    return expect(answer, wanted);
  } catch (error) {
    throw asAppError(error);
  }
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof SftpStatusError)) return internal('Failed talking to the server of files', { cause: error });
  if (error.code === sftpStatus.noSuchFile) return notFound('Not Found');
  if (error.code === sftpStatus.permissionDenied) return forbidden('Forbidden');
  return internal(`sftp: ${goQuote(error.words)} (SSH_FX_FAILURE)`);
}

/** Passes on as many bytes as were promised, and fails when there are fewer. */
function exactly(length: number, onEnd: () => void): Transform {
  let left = length;
  const stream = new Transform({
    highWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length;
      done(left < 0 ? internal('The server of files sent too much') : null, chunk);
    },
    flush(done) {
      done(left === 0 ? null : internal('The file became shorter while it was read'));
    },
  });
  stream.once('close', onEnd);
  return stream;
}
