import { request } from 'node:http';
import { AppError, unavailable, type ErrorKind } from '#kernel';
import { socketPath } from '../environment.js';
import type { Api } from './init/api.js';

interface Envelope {
  readonly type: 'sync' | 'async' | 'error';
  readonly operation: string;
  readonly error_code: number;
  readonly error: string;
  readonly metadata: unknown;
}

const kindOfStatus: Readonly<Record<number, ErrorKind>> = { 400: 'invalid', 403: 'forbidden', 404: 'not-found', 409: 'conflict', 412: 'precondition', 503: 'unavailable' };

/** `/1.0` and `/internal` over the unix socket, for the daemon's own commands. Operations are waited for. */
export function openLocalApi(_root: string): Api {
  const call = async <T>(method: string, path: string, body?: unknown, query = ''): Promise<T> => {
    const envelope = await exchange(method, query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`, body);
    if (envelope.type === 'error') throw new AppError(kindOfStatus[envelope.error_code] ?? 'internal', envelope.error);
    if (envelope.type === 'sync') return envelope.metadata as T;
    const done = await exchange('GET', `${envelope.operation}/wait`);
    const operation = done.metadata as { status_code: number; err: string };
    if (done.type === 'error' || operation.status_code !== 200) throw new AppError('internal', done.error || operation.err);
    return operation as T;
  };
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    put: (path, body, query) => call('PUT', path, body, query),
    patch: (path, body) => call('PATCH', path, body),
    delete: (path) => call('DELETE', path),
  };
}

/** Any request makes a socket-activated daemon start. */
export async function startRequest(): Promise<void> {
  await exchange('GET', '/1.0');
}

function exchange(method: string, path: string, body?: unknown): Promise<Envelope> {
  const { promise, resolve, reject } = Promise.withResolvers<Envelope>();
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const call = request({ socketPath: socketPath(), path, method, headers: payload === undefined ? {} : { 'Content-Type': 'application/json' } }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      try {
        resolve(JSON.parse(Buffer.concat(chunks).toString()) as Envelope);
      } catch (error) {
        reject(unavailable(`${method} "http://unix.socket${path}": not an answer of the API`, { cause: error }));
      }
    });
  });
  call.on('error', (error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'no such file or directory' : error.code === 'ECONNREFUSED' ? 'connection refused' : error.message;
    const verb = method.charAt(0) + method.slice(1).toLowerCase();
    reject(unavailable(`${verb} "http://unix.socket${path}": dial unix ${socketPath()}: connect: ${reason}`, { cause: error }));
  });
  call.end(payload);
  return promise;
}
