import { invalid, unavailable } from '#kernel';
import type { Run } from '../../invocation.js';
import { toJson, withSortedKeys } from '../../output/json.js';
import { toYaml } from '../../output/yaml.js';

type Raw = Record<string, any>;

const levels = ['trace', 'debug', 'info', 'warning', 'error', 'fatal', 'panic'];

export const monitor: Run = async (invocation) => {
  const { flags } = invocation;
  const format = flags.bool('pretty') ? 'pretty' : flags.text('format');
  if (!['json', 'pretty', 'yaml'].includes(format)) throw invalid(`Invalid format: ${format}`);
  const wanted = flags.text('loglevel');
  if (wanted !== '' && format !== 'pretty') throw invalid('Log level filtering can only be used with pretty formatting');
  const least = levels.indexOf(wanted === '' ? 'debug' : wanted === 'warn' ? 'warning' : wanted);
  if (least < 0) throw invalid(`not a valid logrus Level: ${JSON.stringify(wanted)}`);
  const server = await invocation.serverOf(invocation.arg(0));
  const types = flags.list('type');
  const show = (event: Raw): void => {
    if (format === 'json') return invocation.terminal.out(`${toJson(withSortedKeys(event))}\n\n`);
    if (format === 'yaml') return invocation.terminal.out(`${toYaml(withSortedKeys(event))}\n\n`);
    const line = pretty(event, least);
    if (line !== undefined) invocation.terminal.out(`${line}\n`);
  };
  const { promise: failed, reject } = Promise.withResolvers<never>();
  const events = await server.api.events({ ...(types.length === 0 ? {} : { types }), allProjects: flags.bool('all-projects') }, (event) => {
    try {
      show(event as unknown as Raw);
    } catch (error) {
      reject(error as Error);
    }
  });
  await Promise.race([failed, events.closed]);
  throw unavailable('The server has ended the stream of events');
};

/** `time=… level=… msg="…" key=value`, as logs are written. */
function pretty(event: Raw, least: number): string | undefined {
  const at = `time=${JSON.stringify(new Date(event['timestamp']).toISOString().replace(/\.\d+/, ''))}`;
  const meta = event['metadata'] as Raw;
  if (event['type'] === 'logging') {
    const level = meta['level'] === 'warn' ? 'warning' : String(meta['level']);
    if (levels.indexOf(level) < least) return undefined;
    return fields(at, level, String(meta['message']), meta['context'] as Raw | null);
  }
  if (levels.indexOf('info') < least) return undefined;
  if (event['type'] === 'lifecycle') {
    const requestor = meta['requestor'] as Raw | undefined;
    const who = requestor === undefined || requestor === null ? '' : `, Requestor: ${requestor['protocol']}/${requestor['username']} (${requestor['address']})`;
    return fields(at, 'info', `Action: ${meta['action']}, Source: ${meta['source']}${who}`, meta['context'] as Raw | null);
  }
  return fields(at, 'info', `ID: ${meta['id']}, Class: ${meta['class']}, Description: ${meta['description']}`, {
    CreatedAt: meta['created_at'], Err: meta['err'], Location: meta['location'], MayCancel: meta['may_cancel'], Metadata: toJson(meta['metadata']), Resources: toJson(meta['resources']), Status: meta['status'], StatusCode: meta['status'], UpdatedAt: meta['updated_at'],
  });
}

function fields(at: string, level: string, message: string, context: Raw | null | undefined): string {
  const quote = (value: unknown): string => (/^[A-Za-z0-9./_@^+-]*$/.test(String(value)) ? String(value) : JSON.stringify(String(value)));
  const pairs = Object.entries(context ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ` ${key}=${quote(value)}`);
  return `${at} level=${level} msg=${quote(message)}${pairs.join('')}`;
}
