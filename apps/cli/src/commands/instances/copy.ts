import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { nameOf, url, type Server } from '../../server.js';
import { writableInstance, type InstanceView } from '../instance-shape.js';
import { deviceFlags } from './device-flags.js';
import { instanceUrl, migrate, portableConfig } from './transfer.js';

export interface CopyOptions {
  readonly source: string;
  readonly destination: string;
  readonly ephemeral: boolean;
  readonly refresh: boolean;
  readonly stateful: boolean;
  /** Keeps `volatile.` keys, as a move does. */
  readonly keepVolatile: boolean;
  readonly what: string;
}

export const copy: Run = async (invocation) => {
  const { flags, args } = invocation;
  await copyInstance(invocation, { source: args[0]!, destination: args[1] ?? '', ephemeral: flags.bool('ephemeral'), refresh: flags.bool('refresh'), stateful: !flags.bool('stateless') && !flags.bool('refresh'), keepVolatile: false, what: 'Transferring instance' });
};

/** Copies an instance or a snapshot, on one server or from one to another. Returns where it is now. */
export async function copyInstance(invocation: Invocation, options: CopyOptions): Promise<{ server: Server; name: string }> {
  const { flags } = invocation;
  const source = invocation.parse(options.source);
  const destination = options.destination === '' ? { remote: source.remote, name: '' } : invocation.parse(options.destination);
  if (source.name === '') throw invalid('You must specify a source instance name');
  if (flags.bool('no-profiles') && flags.list('profile').length > 0) throw invalid("Can't combine --no-profiles and --profile");
  const from = await invocation.server(source.remote);
  const to = await invocation.server(destination.remote);
  const target = flags.text('target');
  if (target !== '' && !to.clustered) throw invalid('To use --target, the destination remote must be a cluster');
  const isSnapshot = source.name.includes('/');
  if (isSnapshot && (options.refresh || flags.bool('instance-only'))) throw invalid('--instance-only can\'t be passed when the source is a snapshot');
  const entry = await from.get<InstanceView>(instanceUrl(source.name));
  const name = destination.name !== '' ? destination.name : source.remote === destination.remote ? '' : source.name.split('/')[0]!;
  const body = await copyBody(invocation, to, entry, options);
  const project = flags.text('target-project');
  const targetPath = url(['instances'], { target, project });
  const common = {
    base_image: undefined, 'base-image': entry.config?.['volatile.base_image'] ?? '', instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'), refresh: options.refresh, allow_inconsistent: flags.bool('allow-inconsistent'),
    live: options.stateful && entry.status === 'Running',
  };
  if (source.remote === destination.remote) {
    // Within one server its own way is the fastest.
    const copySource = { ...common, live: options.stateful && entry.stateful === true, type: 'copy', source: source.name, project: from.project === '' ? undefined : from.project };
    const operation = await invocation.run(to, 'POST', targetPath, { ...body, name, source: copySource }, options.what);
    const made = name !== '' ? name : nameOf((operation.resources?.['instances'] ?? [''])[0]!);
    if (name === '' && !flags.bool('quiet')) invocation.print(`Instance name is: ${made}`);
    return { server: to, name: made };
  }
  await migrate(invocation, {
    from, to, fromRemote: source.remote, toRemote: destination.remote, sourcePath: instanceUrl(source.name), targetPath, targetBody: { ...body, name }, targetSource: common, mode: flags.text('mode'), what: options.what,
    sourceBody: { name: entry.name, migration: true, live: common.live, instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'), allow_inconsistent: flags.bool('allow-inconsistent') },
  });
  return { server: to, name };
}

/** The new instance: as the old one, with what the flags change. */
async function copyBody(invocation: Invocation, to: Server, entry: InstanceView, options: CopyOptions): Promise<Record<string, unknown>> {
  const { flags } = invocation;
  const config = options.keepVolatile ? { ...entry.config } : portableConfig(entry.config);
  for (const pair of flags.list('config')) {
    const equals = pair.indexOf('=');
    if (equals < 0) throw invalid(`Bad key=value pair: ${pair}`);
    config[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  const devices = structuredClone(entry.devices ?? {}) as Record<string, Record<string, string>>;
  await deviceFlags(flags.list('device'), devices, async () => structuredClone(entry.expanded_devices ?? {}) as Record<string, Record<string, string>>);
  const pool = flags.text('storage');
  if (pool !== '') {
    await to.get(url(['storage-pools', pool]));
    const root = Object.entries({ ...entry.expanded_devices, ...devices }).find(([, device]) => device['type'] === 'disk' && device['path'] === '/');
    devices[root?.[0] ?? 'root'] = { ...(root?.[1] ?? { type: 'disk', path: '/' }), pool };
  }
  const profiles = flags.bool('no-profiles') ? [] : flags.list('profile').length > 0 ? flags.list('profile').flatMap((one) => one.split(',')) : entry.profiles;
  const { restore: _restore, ...writable } = writableInstance(entry);
  return { ...writable, config, devices, profiles, ephemeral: options.ephemeral || (options.keepVolatile && entry.ephemeral), type: entry.type, instance_type: '' };
}
