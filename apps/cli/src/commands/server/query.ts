import { readText } from '#client';
import type { Operation } from '#api-types';
import { AppError, internal, invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { toJson, withSortedKeys } from '../../output/json.js';

interface Envelope {
  readonly type: string;
  readonly error: string;
  readonly error_code: number;
  readonly operation: string;
  readonly metadata: unknown;
}

export const query: Run = async (invocation) => {
  const { flags, terminal } = invocation;
  if (flags.text('project') !== '') throw invalid('--project cannot be used with the query command');
  const { remote, name: path } = invocation.parse(invocation.arg(0));
  if (!path.startsWith('/')) throw invalid('Query path must start with /');
  const method = flags.text('request');
  let data: string | undefined = flags.text('data');
  if (data === '-') data = (await terminal.readAll()).toString('utf8');
  if (data === '') data = undefined;
  const api = invocation.api(remote, '');
  try {
    await invocation.server(remote);
    const answer = await api.raw(method, path, data === undefined ? {} : { body: Buffer.from(json(data)), headers: { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(json(data))) } });
    const text = await readText(answer);
    let envelope: Envelope;
    try {
      envelope = JSON.parse(text) as Envelope;
    } catch {
      if ((answer.statusCode ?? 200) >= 400) throw internal(`Failed to fetch "${path}": ${answer.statusCode} ${answer.statusMessage}`);
      return terminal.out(text);
    }
    if (envelope.type === 'error') throw new AppError('internal', envelope.error);
    if (flags.bool('wait') && envelope.type === 'async' && envelope.operation !== '') {
      const operation = await api.get<Operation>(`${envelope.operation}/wait`);
      if (operation.status_code === 400 || operation.status_code === 401) throw internal(operation.err);
      return print(terminal.out.bind(terminal), flags.bool('raw') ? { ...envelope, metadata: withSortedKeys(operation) } : withSortedKeys(operation));
    }
    if (flags.bool('raw')) return print(terminal.out.bind(terminal), { ...envelope, metadata: withSortedKeys(envelope.metadata) });
    // An answer that says no more than "done" is not shown.
    if (envelope.metadata === null || envelope.metadata === undefined || (typeof envelope.metadata === 'object' && Object.keys(envelope.metadata).length === 0 && !Array.isArray(envelope.metadata))) return;
    print(terminal.out.bind(terminal), withSortedKeys(envelope.metadata));
  } finally {
    api.close();
  }
};

function print(out: (text: string) => void, value: unknown): void {
  out(`${toJson(value, '\t')}\n\n`);
}

/** What is no JSON is sent as a text. */
function json(data: string): string {
  try {
    JSON.parse(data);
    return data;
  } catch {
    return JSON.stringify(data);
  }
}
