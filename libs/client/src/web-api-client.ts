import { unavailable, wrap } from '#kernel';
import { BaseApiClient, type ApiClientOptions, type EventStream } from './base-api-client.js';
import { describeRequest, longestAnswer, type Exchange, type ExchangeAnswer } from './exchange.js';

/**
 * A client of `/1.0` made of what browsers have, `fetch` and `WebSocket`: over HTTPS only, and who it is was settled between browser and server, by a client
 * certificate or a session. Streams other than websockets are the business of the program.
 */
export class WebApiClient extends BaseApiClient {
  /** @param url Example: `https://10.0.0.1:8443` */
  constructor(url: string, options: ApiClientOptions = {}) {
    super(url.replace(/\/+$/, ''), options);
  }

  /** An open websocket: events, exec, console. Handlers are put on in `prepare`, before the first message may come. */
  webSocket(path: string, prepare: (opening: WebSocket) => void = () => undefined): Promise<WebSocket> {
    const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
    const socket = new WebSocket(`${this.base.replace(/^http/, 'ws')}${this.withProject(path)}`);
    socket.binaryType = 'arraybuffer';
    prepare(socket);
    socket.addEventListener('open', () => resolve(socket));
    // What was wrong a browser tells nobody.
    socket.addEventListener('error', () => reject(unavailable(`websocket to "${path.split('?')[0]}" could not be opened`)));
    return promise;
  }

  protected override async exchange(request: Exchange): Promise<ExchangeAnswer> {
    const { method, url, headers, signal, idleTimeoutMs } = request;
    const stalled = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(timer);
      if (idleTimeoutMs !== undefined) timer = setTimeout(() => stalled.abort(unavailable(`no data for ${idleTimeoutMs / 1000} seconds`)), idleTimeoutMs);
    };
    heard();
    try {
      const answer = await fetch(url, {
        method, headers, body: request.body as string | Uint8Array<ArrayBuffer> | undefined, credentials: 'include', signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
      });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await textOf(answer, heard) };
    } catch (error) {
      throw wrap(stalled.signal.aborted ? stalled.signal.reason : unavailable(signal?.aborted === true ? 'context canceled' : reasonOf(error), { cause: error }), describeRequest(method, url));
    } finally {
      clearTimeout(timer);
    }
  }

  protected override async listen(path: string, onText: (text: string) => void): Promise<EventStream> {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const socket = await this.webSocket(path, (opening) => {
      opening.addEventListener('message', ({ data }) => onText(typeof data === 'string' ? data : new TextDecoder().decode(data as ArrayBuffer)));
      opening.addEventListener('close', () => resolve());
    });
    return { close: () => socket.close(), closed };
  }
}

async function textOf(answer: Response, heard: () => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for (const reader = answer.body?.getReader(); reader !== undefined;) {
    const { done, value } = await reader.read();
    if (done) break;
    heard();
    size += value.length;
    if (size > longestAnswer) throw unavailable(`The answer is longer than ${longestAnswer} bytes`);
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error && cause.message !== '' ? cause.message : error instanceof Error ? error.message : String(error);
}
