import { request } from 'node:http';

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface RawCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Sent as it stands, with its length; nothing at all when absent. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request over a unix socket, on a connection of its own, with nothing added that the caller did not name. */
export function rawCall(socketPath: string, { method, path, body, headers = {} }: RawCall, timeoutMs = 20_000): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const sent = request({ socketPath, agent: false, method, path, headers: { ...headers, ...length } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.once('error', reject);
      response.once('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(parts).toString() });
      });
    });
    const timer = setTimeout(() => sent.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)), timeoutMs);
    sent.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.end(body);
  });
}
