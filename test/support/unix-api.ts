import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** LXD's envelope. */
  readonly body: { readonly type?: string; readonly metadata?: unknown; readonly error?: string; readonly error_code?: number; readonly operation?: string };
}

/** The API through one member's unix socket. Rejects where no whole answer came: what was asked may have happened or may yet happen. */
export class UnixApi {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(private readonly socketPath: string) {}

  call(method: string, path: string, options: { readonly body?: unknown; readonly ifMatch?: string; readonly timeoutMs?: number } = {}): Promise<Answer> {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(options.ifMatch === undefined ? {} : { 'if-match': options.ifMatch }),
    };
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socketPath, agent: this.agent, method, path, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.once('error', reject);
        response.once('close', () => reject(new Error('The answer ended early')));
        response.once('end', () => {
          clearTimeout(timer);
          try {
            const text = Buffer.concat(parts).toString();
            resolve({ status: response.statusCode!, etag: String(response.headers.etag ?? ''), headers: response.headers, body: JSON.parse(text) as Answer['body'] });
          } catch (error) {
            reject(error as Error);
          }
        });
      });
      const timer = setTimeout(() => sent.destroy(new Error('timed out')), options.timeoutMs ?? 5000);
      sent.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      sent.end(body);
    });
  }

  close(): void { this.agent.destroy(); }
}
