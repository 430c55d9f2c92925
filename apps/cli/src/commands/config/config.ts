import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server, type ServerInfo } from '../../server.js';
import { editYaml } from '../../terminal/edit.js';
import { writableInstance, type InstanceView } from '../instance-shape.js';
import { readKeys } from '../keys.js';

type Config = Record<string, string>;

/** The instance or server the first argument names, where it names one: then it is no key. */
async function ownerOf(invocation: Invocation, words: readonly string[], isOwner: (word: string) => boolean): Promise<{ server: Server; name: string; rest: readonly string[] }> {
  const [first] = words;
  if (first !== undefined && isOwner(first)) {
    const { server, name } = await invocation.place(first);
    return { server, name, rest: words.slice(1) };
  }
  return { server: await invocation.server(), name: '', rest: words };
}

function noTargetFor(invocation: Invocation): void {
  if (invocation.flags.text('target') !== '') throw invalid('--target cannot be used with instances');
}

/** The server's own configuration, or with `--target` what one member has for itself. */
async function serverConfig(invocation: Invocation, server: Server): Promise<{ path: string; config: Config; etag: string }> {
  const target = invocation.flags.text('target');
  if (target !== '' && !server.clustered) throw invalid('To use --target, the destination remote must be a cluster');
  const path = url([], { target }).replace(/\/(?=\?|$)/, '');
  const { value, etag } = await server.fetch<ServerInfo>(path);
  return { path, config: { ...value.config }, etag };
}

export const get: Run = async (invocation) => {
  const { server, name, rest } = await ownerOf(invocation, invocation.args, (word) => invocation.args.length > 1 || word.endsWith(':'));
  const key = rest.at(-1) ?? '';
  if (name === '') {
    if (invocation.flags.bool('expanded')) throw invalid('--expanded cannot be used with a server');
    invocation.print(String((await serverConfig(invocation, server)).config[key] ?? ''));
    return;
  }
  noTargetFor(invocation);
  const [parent, snapshot] = name.split('/');
  const instance = await server.get<InstanceView>(snapshot === undefined ? url(['instances', name]) : url(['instances', parent!, 'snapshots', snapshot]));
  invocation.print((invocation.flags.bool('expanded') ? instance.expanded_config : instance.config)?.[key] ?? '');
};

export const set: Run = async (invocation) => {
  const { args } = invocation;
  const first = args[0]!;
  // `key value`, `key=value`... of a server; or an owner and then either.
  const isOwner = (): boolean => first.endsWith(':') || (!first.includes('=') && (args.length === 1 || args.length > 2 || args[1]!.includes('=') || !first.includes('.')));
  const { server, name, rest } = await ownerOf(invocation, args, isOwner);
  const keys = await readKeys(invocation, rest);
  if (name !== '') return changeInstance(invocation, server, name, (config) => {
    for (const [key, value] of Object.entries(keys)) {
      if (value === '') delete config[key];
      else config[key] = value;
    }
  });
  const { path, config, etag } = await serverConfig(invocation, server);
  await invocation.run(server, 'PUT', path, { config: { ...config, ...keys } }, '', { 'if-match': etag });
};

export const unset: Run = async (invocation) => {
  const { server, name, rest } = await ownerOf(invocation, invocation.args, (word) => invocation.args.length > 1 || word.endsWith(':'));
  const key = rest.at(-1) ?? '';
  if (name !== '') return changeInstance(invocation, server, name, (config) => {
    if (config[key] === undefined) throw invalid(`Can't unset key '${key}', it's not currently set`);
    delete config[key];
  });
  const { path, config, etag } = await serverConfig(invocation, server);
  await invocation.run(server, 'PUT', path, { config: { ...config, [key]: '' } }, '', { 'if-match': etag });
};

async function changeInstance(invocation: Invocation, server: Server, name: string, change: (config: Config) => void): Promise<void> {
  noTargetFor(invocation);
  const path = url(['instances', name]);
  const { value, etag } = await server.fetch<InstanceView>(path);
  const config: Config = { ...value.config };
  change(config);
  await invocation.run(server, 'PUT', path, { ...writableInstance(value), config }, '', { 'if-match': etag });
}

export const show: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') {
    if (invocation.flags.bool('expanded')) throw invalid('--expanded cannot be used with a server');
    invocation.printYaml({ config: (await serverConfig(invocation, server)).config });
    return;
  }
  noTargetFor(invocation);
  const [parent, snapshot] = name.split('/');
  const value = await server.get<InstanceView & { expires_at?: string }>(snapshot === undefined ? url(['instances', name]) : url(['instances', parent!, 'snapshots', snapshot]));
  const expanded = invocation.flags.bool('expanded');
  if (snapshot !== undefined) {
    invocation.printYaml(expanded ? { ...value, config: value.expanded_config, devices: value.expanded_devices } : { ...value });
    return;
  }
  const { restore: _restore, ...shown } = writableInstance(expanded ? { ...value, config: value.expanded_config, devices: value.expanded_devices } : value);
  invocation.printYaml(shown);
};

const instanceExplanation = 'An instance: its configuration, devices and profiles, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.';
const serverExplanation = 'The configuration of the server, as YAML.\nLines that begin with # are ignored.';

export const edit: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') {
    let found: Awaited<ReturnType<typeof serverConfig>> | undefined;
    return editYaml(invocation, {
      explanation: serverExplanation,
      load: async () => {
        found = await serverConfig(invocation, server);
        return { config: found.config };
      },
      save: async (value) => {
        const path = found?.path ?? url([], { target: invocation.flags.text('target') }).replace(/\/(?=\?|$)/, '');
        await invocation.run(server, 'PUT', path, { config: (value as { config?: Config } | null)?.config ?? null }, '', found === undefined ? {} : { 'if-match': found.etag });
      },
    });
  }
  noTargetFor(invocation);
  const [parent, snapshot] = name.split('/');
  const path = snapshot === undefined ? url(['instances', name]) : url(['instances', parent!, 'snapshots', snapshot]);
  let etag = '';
  return editYaml(invocation, {
    explanation: instanceExplanation,
    load: async () => {
      const found = await server.fetch<InstanceView & { expires_at?: string }>(path);
      etag = found.etag;
      return snapshot === undefined ? writableInstance(found.value) : { expires_at: found.value.expires_at };
    },
    save: async (value) => {
      const body = snapshot === undefined ? writableInstance(value as object | null) : { expires_at: (value as { expires_at?: string } | null)?.expires_at ?? '0001-01-01T00:00:00Z' };
      await invocation.run(server, 'PUT', path, body, '', etag === '' ? {} : { 'if-match': etag });
    },
  });
};
