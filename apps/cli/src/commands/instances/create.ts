import type { ApiAnswer } from '#client';
import { internal, invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { nameOf, url, type Server } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { imageSource, waitForCreation } from '../images/image-source.js';
import type { Devices, InstanceView } from '../instance-shape.js';
import { deviceFlags } from './device-flags.js';

type Raw = Record<string, unknown>;

interface Created {
  readonly server: Server;
  readonly remote: string;
  readonly name: string;
}

export const init: Run = async (invocation) => {
  if (invocation.args.length === 0 && !invocation.flags.bool('empty')) return invocation.noteUsage();
  await create(invocation, 'Creating');
};

export const launch: Run = async (invocation) => {
  const { flags, args } = invocation;
  if (args.length === 0) return invocation.printHelp();
  const { server, remote, name } = await create(invocation, 'Creating');
  if (!flags.bool('quiet')) invocation.print(`Starting ${name}`);
  const answer = await server.api.call('PUT', url(['instances', name, 'state']), { body: { action: 'start', timeout: -1, force: false, stateful: false } });
  await invocation.wait(server, answer).catch((error: unknown) => {
    const where = remote === 'local' ? name : `${remote}:${name}`;
    throw internal(`${error instanceof Error ? error.message : String(error)}\nTry \`${invocation.program} info --show-log ${where}\` for more info`);
  });
  if (flags.text('console') === '') return;
  const { attachConsole } = await import('./console.js');
  await attachConsole(invocation, `${remote}:${name}`, flags.text('console'));
};

/** What the words and flags of `init` and `launch` ask for. */
async function create(invocation: Invocation, verb: string): Promise<Created> {
  const { flags, args } = invocation;
  const empty = flags.bool('empty');
  const given = await standardInput(invocation);
  const [imageText, placeText] = empty ? ['', args.length === 2 ? args[1]! : args[0] ?? ''] : [args[0]!, args[1] ?? ''];
  if (empty && args.length > 1) throw invalid('--empty cannot be combined with an image name');
  const { remote, name } = placeText === '' ? { remote: invocation.config.defaultRemote, name: '' } : invocation.parse(placeText);
  const server = await invocation.server(remote);
  if (flags.text('target') !== '' && !server.clustered) throw invalid('To use --target, the destination remote must be a cluster');
  if (!flags.bool('quiet')) invocation.print(name === '' ? `${verb} the instance` : `${verb} ${name}`);
  const body = await request(invocation, server, name, given);
  const path = url(['instances'], { target: flags.text('target') });
  let operation;
  if (empty) {
    body['source'] = { type: 'none', certificate: '' };
    operation = await invocation.wait(server, await server.api.call('POST', path, { body }));
  } else {
    const source = await imageSource(invocation, server, imageText!, flags.bool('vm') ? 'virtual-machine' : 'container');
    if (source.type !== '' && !flags.bool('vm')) body['type'] = source.type;
    operation = await waitForCreation(invocation, server, async (one): Promise<ApiAnswer<unknown>> => server.api.call('POST', path, { body: { ...body, source: one } }), source);
  }
  const created = name !== '' ? name : nameOf((operation.resources?.['instances'] ?? operation.resources?.['containers'] ?? [''])[0]!);
  if (name === '' && !flags.bool('quiet')) invocation.print(`Instance name is: ${created}`);
  await warnWithoutNetwork(invocation, server, created);
  return { server, remote, name: created };
}

/** An instance as YAML, where standard input is a file or a pipe. */
async function standardInput(invocation: Invocation): Promise<Raw> {
  if (invocation.terminal.inputIsTerminal) return {};
  return ((await parseYaml((await invocation.terminal.readAll()).toString('utf8'))) ?? {}) as Raw;
}

async function request(invocation: Invocation, server: Server, name: string, given: Raw): Promise<Raw> {
  const { flags } = invocation;
  const config = { ...(given['config'] as Record<string, string> | undefined) };
  for (const pair of flags.list('config')) {
    const equals = pair.indexOf('=');
    if (equals < 0) throw invalid(`Bad key=value pair: ${pair}`);
    config[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  const devices = { ...(given['devices'] as Record<string, Record<string, string>> | undefined) };
  const network = flags.text('network');
  if (network !== '') Object.assign(devices, await networkDevice(server, network));
  const profiles = flags.bool('no-profiles') ? [] : flags.list('profile').length > 0 ? flags.list('profile').flatMap((one) => one.split(',')) : (given['profiles'] as string[] | undefined) ?? null;
  const pool = flags.text('storage');
  if (pool !== '') {
    await server.get(url(['storage-pools', pool])).catch((error: unknown) => { throw internal(`Failed loading storage pool "${pool}": ${error instanceof Error ? error.message : String(error)}`); });
    await useForRoot(server, devices, profiles ?? ['default'], pool);
  }
  await deviceFlags(flags.list('device'), devices, async () => profileDevices(server, profiles ?? ['default']));
  const body: Raw = {
    architecture: given['architecture'] ?? '', config, devices, ephemeral: flags.bool('ephemeral') || given['ephemeral'] === true, profiles, stateful: given['stateful'] ?? false,
    description: given['description'] ?? '', name, source: {}, instance_type: flags.text('type'), type: flags.bool('vm') ? 'virtual-machine' : 'container',
  };
  return body;
}

/** An interface for a network: in place of the profile's of the same name. */
async function networkDevice(server: Server, network: string): Promise<Record<string, Record<string, string>>> {
  const { managed, type } = await server.get<{ managed: boolean; type: string }>(url(['networks', network])).catch((error: unknown) => {
    throw internal(`Failed loading network "${network}": ${error instanceof Error ? error.message : String(error)}`);
  });
  if (managed) return { eth0: { name: 'eth0', type: 'nic', network } };
  return { eth0: { name: 'eth0', type: 'nic', nictype: type === 'bridge' ? 'bridged' : 'macvlan', parent: network } };
}

/** What the profiles bring, the later ones counting more. */
async function profileDevices(server: Server, profiles: readonly string[]): Promise<Record<string, Record<string, string>>> {
  const devices: Record<string, Record<string, string>> = {};
  for (const profile of profiles) Object.assign(devices, (await server.get<{ devices: Devices | null }>(url(['profiles', profile]))).devices);
  return structuredClone(devices);
}

async function useForRoot(server: Server, devices: Record<string, Record<string, string>>, profiles: readonly string[], pool: string): Promise<void> {
  const inherited = await profileDevices(server, profiles);
  const found = Object.entries({ ...inherited, ...devices }).find(([, device]) => device['type'] === 'disk' && device['path'] === '/');
  devices[found?.[0] ?? 'root'] = { ...(found?.[1] ?? { type: 'disk', path: '/' }), pool };
}

async function warnWithoutNetwork(invocation: Invocation, server: Server, name: string): Promise<void> {
  const { expanded_devices: devices } = await server.get<InstanceView>(url(['instances', name]));
  if (Object.values(devices ?? {}).some((device) => device['type'] === 'nic')) return;
  const { program } = invocation;
  invocation.note(`\nThe instance you are starting doesn't have any network attached to it.\n  To create a new network, use: ${program} network create\n  To attach a network to an instance, use: ${program} network attach\n`);
}
