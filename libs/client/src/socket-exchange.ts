import { connect } from 'node:net';
import { unavailable, wrap } from '#kernel';
import { connectionError } from './connection-errors.js';
import { describeRequest, type Exchange, type ExchangeAnswer } from './exchange.js';
import { HttpAnswerReader } from './http-answer.js';

const connectTimeoutMs = 10_000;

/**
 * One request over a connection of its own to a unix socket. Node's HTTP client can do more (streams, upgrades, proxies, connections that are kept) and
 * takes longer to load than a short command may last.
 */
export function exchangeOverSocket(socketPath: string, request: Exchange & { readonly body?: string }): Promise<ExchangeAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ExchangeAnswer>();
  const head = requestHead(request);
  const reader = new HttpAnswerReader(request.method);
  const socket = connect({ path: socketPath });
  let timer = setTimeout(() => fail(unavailable(`dial unix ${socketPath}: i/o timeout`)), connectTimeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
    request.signal?.removeEventListener('abort', aborted);
    // Not at once: to close a socket Node looks at standard error, which it makes a stream of for that. A short command has ended before.
    setImmediate(() => socket.destroy());
  };
  const fail = (error: Error): void => {
    stop();
    reject(wrap(connectionError(error, socketPath), describeRequest(request.method, request.url)));
  };
  const aborted = (): void => fail(unavailable('context canceled', { cause: request.signal?.reason }));
  const heard = (): void => {
    clearTimeout(timer);
    const { idleTimeoutMs } = request;
    if (idleTimeoutMs !== undefined) timer = setTimeout(() => fail(unavailable(`no data for ${idleTimeoutMs / 1000} seconds`)), idleTimeoutMs);
  };
  /** What the reader refuses is the server's fault, not the program's. */
  const read = (take: () => boolean): void => {
    try {
      if (!take()) return;
      stop();
      resolve(reader.answer);
    } catch (error) {
      fail(error as Error);
    }
  };
  socket.once('connect', () => {
    heard();
    // At once, and without a word about closing: a server that refuses before it has read all would else close under our hands, its answer unread.
    socket.write(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(request.body ?? '')]));
  });
  socket.on('data', (data: Buffer) => {
    heard();
    read(() => reader.push(data));
  });
  socket.once('end', () => read(() => (reader.end(), true)));
  socket.on('error', fail);
  socket.once('close', () => fail(unavailable('EOF')));
  if (request.signal?.aborted === true) aborted();
  else request.signal?.addEventListener('abort', aborted);
  return promise;
}

function requestHead({ method, url, headers, body }: Exchange & { readonly body?: string }): string {
  const { host, pathname, search } = new URL(url);
  const length = body === undefined && method === 'GET' ? {} : { 'content-length': String(Buffer.byteLength(body ?? '')) };
  const all = { host, ...headers, ...length };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${checked(value)}\r\n`);
  return `${method} ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A line end in a value would be the start of a header of somebody else's. */
function checked(value: string): string {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/.test(value)) throw unavailable(`invalid header field value ${JSON.stringify(value)}`);
  return value;
}
