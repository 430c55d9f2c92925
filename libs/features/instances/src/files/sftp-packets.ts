import { internal } from '#kernel';

/** Types of SFTP version 3 messages. */
export const sftp = {
  init: 1, version: 2, open: 3, close: 4, read: 5, write: 6, lstat: 7, fstat: 8, setstat: 9, fsetstat: 10, opendir: 11, readdir: 12, remove: 13, mkdir: 14, rmdir: 15,
  realpath: 16, stat: 17, rename: 18, readlink: 19, symlink: 20, status: 101, handle: 102, data: 103, name: 104, attrs: 105, extended: 200, extendedReply: 201,
} as const;

export const sftpStatus = { ok: 0, eof: 1, noSuchFile: 2, permissionDenied: 3, failure: 4, badMessage: 5, unsupported: 8 } as const;

/** Bits of an open request. */
export const sftpOpen = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

export interface FileAttributes {
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  /** Type and permissions, as stat(2) has them. */
  readonly mode: number;
  /** Seconds since 1970. */
  readonly accessedAt: number;
  readonly modifiedAt: number;
}

/** What is to be changed. */
export interface AttributeChange {
  readonly size?: number;
  /** Both or neither. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
}

const hasSize = 1;
const hasOwner = 2;
const hasMode = 4;
const hasTimes = 8;

/** Builds one message: its length goes first. */
export class PacketWriter {
  private readonly parts: Buffer[] = [];

  constructor(type: number) {
    this.parts.push(Buffer.from([type]));
  }

  number(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    this.parts.push(bytes);
    return this;
  }

  long(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    this.parts.push(bytes);
    return this;
  }

  bytes(value: Buffer): this {
    this.parts.push(this.lengthOf(value), value);
    return this;
  }

  text(value: string | Buffer): this {
    return this.bytes(typeof value === 'string' ? Buffer.from(value, 'utf8') : value);
  }

  change({ size, owner, mode }: AttributeChange): this {
    this.number((size === undefined ? 0 : hasSize) | (owner === undefined ? 0 : hasOwner) | (mode === undefined ? 0 : hasMode));
    if (size !== undefined) this.long(size);
    if (owner !== undefined) this.number(owner.uid).number(owner.gid);
    if (mode !== undefined) this.number(mode);
    return this;
  }

  attributes({ size, uid, gid, mode, accessedAt, modifiedAt }: FileAttributes): this {
    return this.number(hasSize | hasOwner | hasMode | hasTimes).long(size).number(uid).number(gid).number(mode).number(accessedAt).number(modifiedAt);
  }

  finish(): Buffer {
    const body = Buffer.concat(this.parts);
    return Buffer.concat([this.lengthOf(body), body]);
  }

  private lengthOf(bytes: Buffer): Buffer {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return length;
  }
}

/** Reads one message from its front. @throws `internal` for one that is too short. */
export class PacketReader {
  private at = 0;

  constructor(private readonly packet: Buffer) {}

  byte(): number {
    return this.take(1)[0]!;
  }

  number(): number {
    return this.take(4).readUInt32BE();
  }

  long(): number {
    return Number(this.take(8).readBigUInt64BE());
  }

  bytes(): Buffer {
    return this.take(this.number());
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  change(): AttributeChange {
    const flags = this.number();
    const size = flags & hasSize ? this.long() : undefined;
    const owner = flags & hasOwner ? { uid: this.number(), gid: this.number() } : undefined;
    const mode = flags & hasMode ? this.number() : undefined;
    if (flags & hasTimes) this.take(8);
    return { ...(size === undefined ? {} : { size }), ...(owner === undefined ? {} : { owner }), ...(mode === undefined ? {} : { mode }) };
  }

  attributes(): FileAttributes {
    const flags = this.number();
    const size = flags & hasSize ? this.long() : 0;
    const [uid, gid] = flags & hasOwner ? [this.number(), this.number()] : [0, 0];
    const mode = flags & hasMode ? this.number() : 0;
    const [accessedAt, modifiedAt] = flags & hasTimes ? [this.number(), this.number()] : [0, 0];
    return { size, uid, gid, mode, accessedAt, modifiedAt };
  }

  private take(length: number): Buffer {
    if (this.packet.length - this.at < length) throw internal('The server of files sent a broken message');
    this.at += length;
    return this.packet.subarray(this.at - length, this.at);
  }
}

/** Cuts a stream of bytes into messages, without their lengths. */
export class PacketSplitter {
  private rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
  }

  /** The next message; null as long as it is not all here. @throws `internal` for one above the limit. */
  next(longest: number): Buffer | null {
    if (this.rest.length < 4) return null;
    const length = this.rest.readUInt32BE();
    if (length < 1 || length > longest) throw internal('A message of SFTP is too long');
    if (this.rest.length < 4 + length) return null;
    const packet = this.rest.subarray(4, 4 + length);
    this.rest = this.rest.subarray(4 + length);
    return packet;
  }

  /** What follows the last message, for whoever reads on from here. */
  remainder(): Buffer {
    const { rest } = this;
    this.rest = Buffer.alloc(0);
    return rest;
  }
}
