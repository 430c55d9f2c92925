import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { ensureAliases } from '../images/transfer.js';
import { writableInstance, type InstanceView } from '../instance-shape.js';
import { pairs } from '../keys.js';

export const publish: Run = async (invocation) => {
  const { args } = invocation;
  const source = invocation.parse(args[0]!);
  let words = args.slice(1);
  let destination = source.remote;
  if (words[0] !== undefined && !words[0].includes('=')) {
    const place = invocation.parse(words[0]);
    if (place.name !== '') throw invalid("There is no \"image name\".  Did you want an alias?");
    destination = place.remote;
    words = words.slice(1);
  }
  if (source.name === '') throw invalid('Instance name is mandatory');
  const properties = pairs(words, 'Bad key=value pair');
  const from = await invocation.server(source.remote);
  const to = await invocation.server(destination);
  const isSnapshot = source.name.includes('/');
  const restart = isSnapshot ? async () => undefined : await stopFirst(invocation, from, source.name);
  try {
    await publishStopped(invocation, { from, to, remote: source.remote, name: source.name, elsewhere: destination !== source.remote, properties });
  } finally {
    await restart();
  }
};

interface Publishing {
  readonly from: Server;
  readonly to: Server;
  /** The source's. */
  readonly remote: string;
  readonly name: string;
  readonly elsewhere: boolean;
  readonly properties: Readonly<Record<string, string>>;
}

async function publishStopped(invocation: Invocation, { from, to, remote, name, elsewhere, properties }: Publishing): Promise<void> {
  const { flags } = invocation;
  const expires = flags.text('expire');
  if (expires !== '' && Number.isNaN(Date.parse(expires))) throw invalid(`Invalid expiration date: parsing time ${JSON.stringify(expires)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(expires)} as "2006"`);
  const body = {
    auto_update: false, properties, public: flags.bool('public'), expires_at: expires === '' ? '0001-01-01T00:00:00Z' : new Date(expires).toISOString(), profiles: null, filename: '',
    source: { type: name.includes('/') ? 'snapshot' : 'instance', name, alias: '', certificate: '', fingerprint: '' }, compression_algorithm: flags.text('compression'), aliases: null,
  };
  const operation = await invocation.run(from, 'POST', url(['images']), body, 'Publishing instance');
  const fingerprint = String((operation.metadata as { fingerprint?: string } | null)?.fingerprint ?? '');
  if (elsewhere) {
    const { copyImage } = await import('../images/copy-published.js');
    await copyImage(invocation, from, to, remote, fingerprint);
  }
  await ensureAliases(to, flags.list('alias'), fingerprint);
  invocation.print(`Instance published with fingerprint: ${fingerprint}`);
}

/** What runs is stopped, and started again afterwards; what would delete itself then is kept meanwhile. */
async function stopFirst(invocation: Invocation, server: Server, name: string): Promise<() => Promise<unknown>> {
  const path = url(['instances', name]);
  const { value, etag } = await server.fetch<InstanceView>(path);
  if (value.status_code === 0 || value.status_code === 102) return async () => undefined;
  if (!invocation.flags.bool('force')) throw invalid('The instance is currently running. Use --force to have it stopped and restarted');
  if (value.ephemeral) await invocation.run(server, 'PUT', path, { ...writableInstance(value), ephemeral: false }, '', { 'if-match': etag });
  const state = url(['instances', name, 'state']);
  await invocation.run(server, 'PUT', state, { action: 'stop', timeout: -1, force: true, stateful: false });
  return async () => {
    await invocation.run(server, 'PUT', state, { action: 'start', timeout: -1, force: false, stateful: false });
    if (!value.ephemeral) return;
    const now = await server.fetch<InstanceView>(path);
    await invocation.run(server, 'PUT', path, { ...writableInstance(now.value), ephemeral: true }, '', { 'if-match': now.etag });
  };
}
