import { posix } from 'node:path';
import type { IncomingMessage } from 'node:http';
import { readText } from '#client';
import { AppError, unavailable } from '#kernel';
import type { Invocation } from '../../invocation.js';
import { url, type Server } from '../../server.js';

/** `remote:instance/path` taken apart; undefined where there is no path. */
export interface InstancePath {
  readonly server: Server;
  readonly instance: string;
  /** Absolute and without `..`. */
  readonly path: string;
  /** It ended with a slash: a directory is meant. */
  readonly directory: boolean;
}

export async function instancePath(invocation: Invocation, text: string): Promise<InstancePath | undefined> {
  const { remote, name } = invocation.parse(text);
  const slash = name.indexOf('/');
  if (slash < 0) return undefined;
  return { server: await invocation.server(remote), instance: name.slice(0, slash), path: posix.normalize(`/${name.slice(slash + 1)}`).replace(/(.)\/$/, '$1'), directory: name.endsWith('/') };
}

export interface RemoteFile {
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly answer: IncomingMessage;
}

const fileUrl = (instance: string, path: string): string => url(['instances', instance, 'files'], { path });

/** What is at a path. Its content follows as the answer's stream. */
export async function getFile(server: Server, instance: string, path: string): Promise<RemoteFile> {
  const answer = await server.api.download(fileUrl(instance, path));
  const header = (name: string): string => String(answer.headers[`x-lxd-${name}`] ?? '');
  const type = header('type');
  if (type === '') {
    answer.destroy();
    throw unavailable(`The answer to "${fileUrl(instance, path)}" does not say what is there`);
  }
  const mode = parseInt(header('mode'), 8);
  return {
    type: type === 'directory' ? 'directory' : type === 'symlink' ? 'symlink' : 'file', mode: Number.isNaN(mode) ? 0o600 : mode, uid: Number(header('uid')), gid: Number(header('gid')),
    size: Number(answer.headers['content-length'] ?? 0), answer,
  };
}

/** Names in a directory. */
export async function entriesOf(file: RemoteFile): Promise<string[]> {
  return (JSON.parse(await readText(file.answer)) as { metadata: string[] | null }).metadata ?? [];
}

export interface FileAttributes { readonly type: 'file' | 'directory' | 'symlink'; readonly mode?: number; readonly uid?: number; readonly gid?: number }

export async function putFile(server: Server, instance: string, path: string, attributes: FileAttributes, body?: Parameters<Server['api']['call']>[2]): Promise<void> {
  const headers: Record<string, string> = { 'x-lxd-type': attributes.type, 'x-lxd-write': 'overwrite' };
  if (attributes.mode !== undefined) headers['x-lxd-mode'] = attributes.mode.toString(8).padStart(4, '0');
  if (attributes.uid !== undefined) headers['x-lxd-uid'] = String(attributes.uid);
  if (attributes.gid !== undefined) headers['x-lxd-gid'] = String(attributes.gid);
  await server.api.call('POST', fileUrl(instance, path), { ...body, headers: { ...headers, ...body?.headers } });
}

export async function deleteFile(server: Server, instance: string, path: string): Promise<void> {
  await server.api.call('DELETE', fileUrl(instance, path));
}

/** Makes a directory and all above it that lack. What is there stays as it is. */
export async function makeDirectories(server: Server, instance: string, path: string, mode: number, owner: { readonly uid?: number; readonly gid?: number }): Promise<void> {
  if (path === '/' || path === '') return;
  try {
    const found = await getFile(server, instance, path);
    found.answer.resume();
    if (found.type === 'directory') return;
  } catch (error) {
    if (!AppError.is(error, 'not-found')) throw error;
  }
  await makeDirectories(server, instance, posix.dirname(path), mode, owner);
  await putFile(server, instance, path, { type: 'directory', mode, ...owner });
}
