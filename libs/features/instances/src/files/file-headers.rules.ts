import { invalid } from '#kernel';
import type { FileAttributes } from './sftp-packets.js';

/** Names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

export type FileType = 'file' | 'directory' | 'symlink';

/** What is asked for with a body that is pushed. Owner and mode are for what is made; what was there keeps its own. */
export interface PushRequest {
  readonly type: FileType;
  readonly append: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

const permissions = 0o777;
const defaultModes: Readonly<Record<FileType, number>> = { file: 0o644, directory: 0o750, symlink: 0o777 };
const typeBits = 0o170000;

/** @throws `invalid` in LXD's words. Numbers that are none count as absent. */
export function pushRequest(headers: RequestHeaders): PushRequest {
  const type = text(headers['x-lxd-type']) || 'file';
  const write = text(headers['x-lxd-write']) || 'overwrite';
  if (write !== 'overwrite' && write !== 'append') throw invalid(`Bad file write mode: ${write}`);
  if (type !== 'file' && type !== 'directory' && type !== 'symlink') throw invalid(`Bad file type: ${type}`);
  const mode = parseGoInteger(text(headers['x-lxd-mode']));
  return {
    type, append: write === 'append', uid: ownerOf(headers['x-lxd-uid']), gid: ownerOf(headers['x-lxd-gid']),
    mode: mode === null || mode < 0 ? defaultModes[type] : mode & permissions,
  };
}

export function fileType({ mode }: FileAttributes): FileType {
  const bits = mode & typeBits;
  return bits === 0o040000 ? 'directory' : bits === 0o120000 ? 'symlink' : 'file';
}

/** As LXD describes what it sends. */
export function fileHeaders(attributes: FileAttributes): Record<string, string> {
  return {
    'X-Lxd-Gid': `${attributes.gid}`,
    'X-Lxd-Mode': `0${(attributes.mode & permissions).toString(8).padStart(3, '0')}`,
    'X-Lxd-Modified': `${new Date(attributes.modifiedAt * 1000).toISOString().replace('T', ' ').slice(0, 19)} +0000 UTC`,
    'X-Lxd-Type': fileType(attributes),
    'X-Lxd-Uid': `${attributes.uid}`,
  };
}

/** The last name of a path for `Content-Disposition`, as bytes that a header may hold. */
export function dispositionName(path: Buffer): string {
  const trimmed = path.toString('latin1').replace(/\/+$/, '');
  return (trimmed.slice(trimmed.lastIndexOf('/') + 1) || '/').replaceAll(/[^\x20-\x7e\x80-\xff]/g, ' ');
}

function text(value: string | string[] | undefined): string {
  return [value ?? ''].flat()[0] ?? '';
}

function ownerOf(value: string | string[] | undefined): number {
  const number = parseGoInteger(text(value));
  // Ids have 32 bits, and the last of them means none.
  return number === null || number < 0 || number > 0xfffffffe ? 0 : number;
}

/** Go's `strconv.ParseInt` with base 0: `0644` and `0o644` are octal, `0x1a4` is hexadecimal. Null for what is none. */
export function parseGoInteger(given: string): number | null {
  const [, sign, digits] = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/.exec(given) ?? [];
  if (digits === undefined) return null;
  const value = Number(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  return sign === '-' ? -value : value;
}
