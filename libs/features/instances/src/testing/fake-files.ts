import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InstanceFiles, type FilesEndpoint, type FilesRequest } from '#ports';
import { PacketReader, PacketSplitter, PacketWriter, sftp, sftpOpen, sftpStatus, type AttributeChange, type FileAttributes } from '../files/sftp-packets.js';

const directoryBits = 0o040000;
const linkBits = 0o120000;
const fileBits = 0o100000;

/** A file, directory or link in memory; its type is in the mode. */
export interface FakeNode {
  mode: number;
  uid: number;
  gid: number;
  content: Buffer;
}

/** A request that is refused: the status, and the words of the real server. */
class Refused extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/**
 * Files of fake instances: a real SFTP server on a socket, over names in memory. It follows no links and knows no permissions; what is right and
 * wrong inside a container is tested with the real server.
 */
export class FakeInstanceFiles extends InstanceFiles {
  /** By `projectName/view`, then by path; `/` is always there. */
  readonly trees = new Map<string, Map<string, FakeNode>>();
  /** Connections that were asked for. */
  readonly opened: string[] = [];
  private directory = '';
  private readonly servers = new Map<string, net.Server>();
  private readonly sockets = new Set<net.Socket>();

  tree(projectName: string, view: FilesRequest['view'] = 'instance'): Map<string, FakeNode> {
    const key = `${projectName}/${view}`;
    const tree = this.trees.get(key) ?? new Map([['/', { mode: directoryBits | 0o755, uid: 0, gid: 0, content: Buffer.alloc(0) }]]);
    this.trees.set(key, tree);
    return tree;
  }

  override async openFiles({ spec, view }: FilesRequest): Promise<FilesEndpoint> {
    this.directory ||= mkdtempSync(join(tmpdir(), 'roost-fake-files-'));
    const path = join(this.directory, `${spec.projectName}-${view}`);
    this.opened.push(`${spec.projectName}/${view}`);
    if (!this.servers.has(path)) {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        this.sockets.add(socket);
        socket.once('close', () => this.sockets.delete(socket));
        return new FakeConnection(socket, this.tree(spec.projectName, view));
      });
      await new Promise<void>((resolve) => server.listen(path, resolve));
      this.servers.set(path, server.unref());
    }
    return { path };
  }

  /** As when what was served is gone. */
  disconnect(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  dispose(): void {
    for (const server of this.servers.values()) server.close();
    if (this.directory !== '') rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Answers one request after the other, as the real one does. */
class FakeConnection {
  private readonly splitter = new PacketSplitter();
  private readonly handles: { readonly path: string; readonly appends: boolean; listed: boolean }[] = [];
  /** Where bytes go once the connection is for one file alone. */
  private sink: { node: FakeNode; id: number } | undefined;

  constructor(private readonly socket: net.Socket, private readonly tree: Map<string, FakeNode>) {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('end', () => {
      if (this.sink !== undefined) this.status(this.sink.id, sftpStatus.ok, '');
      socket.end();
    });
  }

  private read(chunk: Buffer): void {
    if (this.sink !== undefined) {
      this.sink.node.content = Buffer.concat([this.sink.node.content, chunk]);
      return;
    }
    this.splitter.push(chunk);
    for (let packet = this.splitter.next(2 ** 21); packet !== null && this.sink === undefined; packet = this.splitter.next(2 ** 21)) this.serve(new PacketReader(packet));
  }

  private serve(reader: PacketReader): void {
    const type = reader.byte();
    const id = reader.number();
    if (type === sftp.init) return void this.socket.write(new PacketWriter(sftp.version).number(3).finish());
    try {
      this.obey(type, id, reader);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.status(id, error.code, error.message);
    }
  }

  private obey(type: number, id: number, reader: PacketReader): void {
    switch (type) {
      case sftp.lstat: return this.attributes(id, this.node('lstat', reader.text()));
      case sftp.fstat: return this.attributes(id, this.node('stat', this.handle(reader).path));
      case sftp.open: return this.open(id, reader.text(), reader.number(), reader.change());
      case sftp.opendir: return this.answerHandle(id, reader.text());
      case sftp.readdir: return this.list(id, this.handle(reader));
      case sftp.read: return this.bytes(id, this.handle(reader).path, reader.long(), reader.number());
      case sftp.write: return this.write(id, this.handle(reader), reader.long(), reader.bytes());
      case sftp.fsetstat: return this.change(id, this.handle(reader).path, reader.change());
      case sftp.mkdir: return void this.make(id, 'mkdir', reader.text(), directoryBits | (reader.change().mode ?? 0o755));
      case sftp.symlink: return this.link(id, reader.bytes(), reader.text());
      case sftp.readlink: return this.name(id, this.node('readlink', reader.text()).content);
      case sftp.remove: case sftp.rmdir: return this.remove(id, reader.text());
      case sftp.close: return this.status(id, sftpStatus.ok, '');
      default: return this.extended(id, reader);
    }
  }

  private extended(id: number, reader: PacketReader): void {
    const name = reader.text();
    if (name === 'lsetstat@openssh.com') return this.change(id, reader.text(), reader.change());
    if (name === 'posix-rename@openssh.com') return this.rename(id, reader.text(), reader.text());
    const { path } = this.handle(reader);
    const offset = reader.long();
    const node = this.node('open', path);
    this.status(id, sftpStatus.ok, '');
    if (name === 'put@roost') {
      this.sink = { node, id };
      const rest = this.splitter.remainder();
      if (rest.length > 0) this.read(rest);
    } else this.socket.end(node.content.subarray(offset, offset + reader.long()));
  }

  private node(what: string, path: string): FakeNode {
    const node = this.tree.get(path.length > 1 ? path.replace(/\/+$/, '') : path);
    if (node === undefined) throw new Refused(sftpStatus.noSuchFile, `${what} ${path}: no such file or directory`);
    return node;
  }

  private make(id: number | null, what: string, path: string, mode: number): FakeNode {
    if (this.tree.has(path)) throw new Refused(sftpStatus.failure, `${what} ${path}: file exists`);
    this.node(what, path.slice(0, path.lastIndexOf('/')) || '/');
    const node = { mode, uid: 0, gid: 0, content: Buffer.alloc(0) };
    this.tree.set(path, node);
    if (id !== null) this.status(id, sftpStatus.ok, '');
    return node;
  }

  private open(id: number, path: string, flags: number, change: AttributeChange): void {
    if (!this.tree.has(path) && flags & sftpOpen.create) this.make(null, 'open', path, fileBits | (change.mode ?? 0o644));
    else if (flags & sftpOpen.exclusive) throw new Refused(sftpStatus.failure, `open ${path}: file exists`);
    const node = this.node('open', path);
    if ((node.mode & directoryBits) !== 0 && (node.mode & fileBits) === 0) throw new Refused(sftpStatus.failure, `open ${path}: is a directory`);
    if (flags & sftpOpen.truncate) node.content = Buffer.alloc(0);
    this.answerHandle(id, path, (flags & sftpOpen.append) !== 0);
  }

  private answerHandle(id: number, path: string, appends = false): void {
    this.node('open', path);
    this.handles.push({ path, appends, listed: false });
    this.socket.write(new PacketWriter(sftp.handle).number(id).text(`${this.handles.length - 1}`).finish());
  }

  private handle(reader: PacketReader): (typeof this.handles)[number] {
    const handle = this.handles[Number(reader.text())];
    if (handle === undefined) throw new Refused(sftpStatus.failure, 'bad handle');
    return handle;
  }

  private list(id: number, handle: { path: string; listed: boolean }): void {
    if (handle.listed) throw new Refused(sftpStatus.eof, 'EOF');
    handle.listed = true;
    const prefix = handle.path === '/' ? '/' : `${handle.path}/`;
    const names = [...this.tree].filter(([path]) => path !== '/' && path.startsWith(prefix) && !path.slice(prefix.length).includes('/'));
    const packet = new PacketWriter(sftp.name).number(id).number(names.length);
    for (const [path, node] of names) packet.text(path.slice(prefix.length)).text(path).attributes(attributesOf(node));
    this.socket.write(packet.finish());
  }

  private bytes(id: number, path: string, offset: number, length: number): void {
    const bytes = this.node('read', path).content.subarray(offset, offset + length);
    if (bytes.length === 0) throw new Refused(sftpStatus.eof, 'EOF');
    this.socket.write(new PacketWriter(sftp.data).number(id).bytes(bytes).finish());
  }

  private write(id: number, { path, appends }: { path: string; appends: boolean }, offset: number, bytes: Buffer): void {
    const node = this.node('write', path);
    node.content = Buffer.concat([node.content.subarray(0, appends ? node.content.length : offset), bytes]);
    this.status(id, sftpStatus.ok, '');
  }

  private change(id: number, path: string, { owner, mode }: AttributeChange): void {
    const node = this.node('chown', path);
    if (owner !== undefined) Object.assign(node, owner);
    if (mode !== undefined) node.mode = (node.mode & 0o170000) | mode;
    this.status(id, sftpStatus.ok, '');
  }

  private link(id: number, target: Buffer, path: string): void {
    this.make(id, `symlink ${target.toString('utf8')}`, path, linkBits | 0o777).content = Buffer.from(target);
  }

  private remove(id: number, path: string): void {
    this.node('remove', path);
    if ([...this.tree.keys()].some((other) => other.startsWith(`${path}/`))) throw new Refused(sftpStatus.failure, `remove ${path}: directory not empty`);
    this.tree.delete(path);
    this.status(id, sftpStatus.ok, '');
  }

  private rename(id: number, from: string, to: string): void {
    this.tree.set(to, this.node('rename', from));
    this.tree.delete(from);
    this.status(id, sftpStatus.ok, '');
  }

  private attributes(id: number, node: FakeNode): void {
    this.socket.write(new PacketWriter(sftp.attrs).number(id).attributes(attributesOf(node)).finish());
  }

  private name(id: number, text: Buffer): void {
    this.socket.write(new PacketWriter(sftp.name).number(id).number(1).bytes(text).bytes(text).change({}).finish());
  }

  private status(id: number, code: number, message: string): void {
    this.socket.write(new PacketWriter(sftp.status).number(id).number(code).text(message).text('').finish());
  }
}

function attributesOf({ mode, uid, gid, content }: FakeNode): FileAttributes {
  return { mode, uid, gid, size: content.length, accessedAt: 0, modifiedAt: 1_700_000_000 };
}
