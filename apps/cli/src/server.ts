import type { IncomingMessage } from 'node:http';
import type { ApiClient } from '#client';
import { unavailable } from '#kernel';
import { requireExtension } from './extensions.js';

/** `GET /1.0`, as far as commands look at it. */
export interface ServerInfo {
  readonly config: Readonly<Record<string, string>> | null;
  readonly api_extensions: readonly string[];
  readonly auth: string;
  readonly auth_methods?: readonly string[];
  readonly environment?: { readonly server_clustered?: boolean; readonly server_version?: string; readonly architectures?: readonly string[]; readonly addresses?: readonly string[]; readonly certificate?: string; readonly server_name?: string };
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** A server that has answered, and what it said of itself. */
export class Server {
  private constructor(readonly remote: string, readonly api: ApiClient, readonly info: ServerInfo, readonly project: string, readonly etag: string) {}

  static async connect(remote: string, api: ApiClient, project: string): Promise<Server> {
    const answer = await api.call<ServerInfo>('GET', '/1.0');
    const extensions = answer.metadata.api_extensions;
    api.guardWith((method, path, body) => requireExtension(extensions, method, path, body));
    return new Server(remote, api, answer.metadata, project, answer.etag);
  }

  get clustered(): boolean { return this.info.environment?.server_clustered === true; }

  has(extension: string): boolean { return this.info.api_extensions.includes(extension); }

  get<T>(path: string): Promise<T> { return this.api.get<T>(path); }

  /** What is there and its tag, for changing it only as long as nobody else has. */
  async fetch<T>(path: string): Promise<{ readonly value: T; readonly etag: string }> {
    const answer = await this.api.call<T>('GET', path);
    return { value: answer.metadata, etag: answer.etag };
  }

  /** What is to become a file, as a stream. Throws `unavailable` for an answer that is meant to be read. */
  async download(path: string): Promise<IncomingMessage> {
    const answer = await this.api.download(path);
    const type = answer.headers['content-type'] ?? '';
    if (!/^(application\/json|text\/html)\b/.test(type)) return answer;
    answer.destroy();
    throw unavailable(`The answer to "${path}" is no file but ${type}`);
  }

  close(): void { this.api.close(); }
}

/** A path below `/1.0`, its parts escaped, with what of the query is not empty. */
export function url(parts: readonly string[], query: Query = {}): string {
  const words = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== false)
    .map(([key, value]) => `${key}=${encodeURIComponent(value === true ? '1' : String(value))}`);
  return `/1.0/${parts.map(encodeURIComponent).join('/')}${words.length === 0 ? '' : `?${words.join('&')}`}`;
}

/** The last part of a path of the API: a name. */
export function nameOf(path: string): string {
  return decodeURIComponent(path.split('?')[0]!.split('/').at(-1) ?? '');
}
