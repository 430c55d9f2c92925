import type { Operation } from '#api-types';
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

export interface Copied {
  readonly server: Server;
  readonly name: string;
  /** Whether the source was running. */
  readonly ran: boolean;
}

/** Copies an instance or a snapshot, on one server or from one to another. Returns where it is now. Without a destination it is the default remote, which finds a name. */
export async function copyInstance(invocation: Invocation, options: CopyOptions): Promise<Copied> {
  const { flags } = invocation;
  if (options.refresh && flags.bool('no-profiles')) throw invalid('--no-profiles cannot be used with --refresh');
  const source = invocation.parse(options.source);
  const destination = invocation.parse(options.destination);
  if (source.name === '') throw invalid('You must specify a source instance name');
  if (flags.bool('no-profiles') && flags.list('profile').length > 0) throw invalid("Can't combine --no-profiles and --profile");
  const from = await invocation.server(source.remote);
  const to = await invocation.server(destination.remote);
  const target = flags.text('target');
  if (target !== '' && !to.clustered) throw invalid('To use --target, the destination remote must be a cluster');
  const isSnapshot = source.name.includes('/');
  if (isSnapshot && options.refresh) throw invalid('--refresh can only be used with instances');
  if (isSnapshot && flags.bool('instance-only')) throw invalid('--instance-only can\'t be passed when the source is a snapshot');
  const entry = await from.get<InstanceView>(instanceUrl(source.name));
  const name = destination.name === '' && options.destination !== '' && target === '' ? source.name.split('/')[0]! : destination.name;
  const ran = entry.status === 'Running';
  const body = await copyBody(invocation, entry, options);
  const project = flags.text('target-project');
  const targetPath = url(['instances'], { target, project });
  const common = {
    'base-image': entry.config?.['volatile.base_image'] ?? '', instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'), refresh: options.refresh, allow_inconsistent: flags.bool('allow-inconsistent'),
    live: options.stateful && ran,
  };
  const finish = async (operation: Operation): Promise<Copied> => {
    const made = named(invocation, name, operation);
    if (options.refresh) await refreshConfiguration(invocation, to, made, body);
    return { server: to, name: made, ran };
  };
  if (source.remote === destination.remote) {
    // Within one server its own way is the fastest.
    const copySource = { ...common, live: options.stateful && entry.stateful === true, type: 'copy', source: source.name, project: from.project === '' ? undefined : from.project };
    return finish(await invocation.run(to, 'POST', targetPath, { ...body, name, source: copySource }, options.what));
  }
  return finish(await migrate(invocation, {
    from, to, fromRemote: source.remote, toRemote: destination.remote, sourcePath: instanceUrl(source.name), targetPath, targetBody: { ...body, name }, targetSource: common, mode: flags.text('mode'), what: options.what, failure: 'Failed instance creation',
    sourceBody: { name: entry.name, migration: true, live: common.live, instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'), allow_inconsistent: flags.bool('allow-inconsistent') },
  }));
}

/** A server brings the files up to date, and leaves the configuration to its client. What tells the copy from others stays its own: `volatile.` keys, its pool. */
async function refreshConfiguration(invocation: Invocation, server: Server, name: string, body: CopyBody): Promise<void> {
  const path = url(['instances', name], { project: invocation.flags.text('target-project') });
  const { value, etag } = await server.fetch<InstanceView>(path);
  const own = Object.entries(value.config ?? {}).filter(([key]) => key.startsWith('volatile.'));
  const config = { ...body.config, ...Object.fromEntries(own) };
  const pool = rootOf({ ...value.expanded_devices })?.[1]['pool'];
  const root = rootOf(body.devices);
  const devices = root === undefined || pool === undefined ? body.devices : { ...body.devices, [root[0]]: { ...root[1], pool } };
  await invocation.run(server, 'PUT', path, { ...body, config, devices }, '', { 'if-match': etag });
}

type Devices = Readonly<Record<string, Readonly<Record<string, string>>>>;

function rootOf(devices: Devices): readonly [string, Readonly<Record<string, string>>] | undefined {
  return Object.entries(devices).find(([, device]) => device['type'] === 'disk' && device['path'] === '/');
}

/** What it is called now, which is told where the server found the name. */
function named(invocation: Invocation, name: string, operation: Operation): string {
  if (name !== '') return name;
  const found = nameOf((operation.resources?.['instances'] ?? [''])[0]!);
  if (!invocation.flags.bool('quiet')) invocation.print(`Instance name is: ${found}`);
  return found;
}

type CopyBody = Readonly<Record<string, unknown>> & { readonly config: Readonly<Record<string, string>>; readonly devices: Devices };

/** The new instance: as the old one, with what the flags change. */
async function copyBody(invocation: Invocation, entry: InstanceView, options: CopyOptions): Promise<CopyBody> {
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
    const root = rootOf({ ...entry.expanded_devices, ...devices });
    devices[root?.[0] ?? 'root'] = { ...(root?.[1] ?? { type: 'disk', path: '/' }), pool };
  }
  const profiles = flags.bool('no-profiles') ? [] : flags.list('profile').length > 0 ? flags.list('profile').flatMap((one) => one.split(',')) : entry.profiles;
  const { restore: _restore, ...writable } = writableInstance(entry);
  return { ...writable, config, devices, profiles, ephemeral: options.ephemeral || (options.keepVolatile && entry.ephemeral), type: entry.type, instance_type: '' };
}
