import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { writableInstance, type Devices, type InstanceView } from '../instance-shape.js';
import { pairs, readKeys } from '../keys.js';

type Owner = 'instance' | 'profile';

interface Owned {
  readonly server: Server;
  readonly name: string;
  readonly path: string;
  readonly value: InstanceView;
  readonly etag: string;
  readonly devices: Record<string, Record<string, string>>;
}

async function load(invocation: Invocation, owner: Owner): Promise<Owned> {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing name');
  const path = url([`${owner}s`, name]);
  const { value, etag } = await server.fetch<InstanceView>(path);
  return { server, name, path, value, etag, devices: structuredClone(value.devices ?? {}) as Record<string, Record<string, string>> };
}

async function save(invocation: Invocation, owner: Owner, owned: Owned): Promise<void> {
  const { value, devices } = owned;
  const body = owner === 'instance' ? { ...writableInstance(value), devices } : { config: value.config, description: value.description, devices };
  await invocation.run(owned.server, 'PUT', owned.path, body, '', { 'if-match': owned.etag });
}

const inherited = 'Device from profile(s) cannot be';

function own(owned: Owned, owner: Owner, device: string, verb: string): Record<string, string> {
  const found = owned.devices[device];
  if (found !== undefined) return found;
  if (owner === 'profile') throw invalid("Device doesn't exist");
  if (owned.value.expanded_devices?.[device] === undefined) throw invalid("Device doesn't exist");
  throw invalid(`${inherited} ${verb} for individual instance. Override device or modify profile instead`);
}

export const add = (owner: Owner): Run => async (invocation) => {
  const [, device = '', type = '', ...words] = invocation.args;
  const keys = words.length > 0 ? pairs(words, 'No value found in') : {};
  const owned = await load(invocation, owner);
  if (owned.devices[device] !== undefined) throw invalid('The device already exists');
  owned.devices[device] = { ...keys, type };
  await save(invocation, owner, owned);
  if (!invocation.flags.bool('quiet')) invocation.print(`Device ${device} added to ${owned.name}`);
};

export const get = (owner: Owner): Run => async (invocation) => {
  const owned = await load(invocation, owner);
  const device = invocation.arg(1);
  const found = owned.devices[device];
  if (found === undefined) {
    if (owner === 'instance' && owned.value.expanded_devices?.[device] !== undefined) throw invalid(`${inherited} retrieved for individual instance`);
    throw invalid("Device doesn't exist");
  }
  invocation.print(found[invocation.arg(2)] ?? '');
};

export const list = (owner: Owner): Run => async (invocation) => {
  const owned = await load(invocation, owner);
  invocation.print(Object.keys(owned.devices).join('\n'));
};

export const show = (owner: Owner): Run => async (invocation) => {
  const { devices } = (await load(invocation, owner)).value;
  invocation.printYaml(sorted(devices ?? {}));
};

function sorted(devices: Devices): Record<string, Record<string, string>> {
  const names = Object.keys(devices).sort();
  return Object.fromEntries(names.map((name) => [name, Object.fromEntries(Object.entries(devices[name]!).sort(([a], [b]) => (a < b ? -1 : 1)))]));
}

export const remove = (owner: Owner): Run => async (invocation) => {
  const owned = await load(invocation, owner);
  const names = invocation.args.slice(1);
  for (const device of names) {
    own(owned, owner, device, 'removed');
    delete owned.devices[device];
  }
  await save(invocation, owner, owned);
  if (!invocation.flags.bool('quiet')) invocation.print(`Device ${names.join(', ')} removed from ${owned.name}`);
};

export const set = (owner: Owner): Run => async (invocation) => {
  const device = invocation.arg(1);
  const keys = await readKeys(invocation, invocation.args.slice(2));
  const owned = await load(invocation, owner);
  Object.assign(own(owned, owner, device, 'modified'), keys);
  await save(invocation, owner, owned);
};

export const unset = (owner: Owner): Run => async (invocation) => {
  const owned = await load(invocation, owner);
  own(owned, owner, invocation.arg(1), 'modified')[invocation.arg(2)] = '';
  await save(invocation, owner, owned);
};

export const override: Run = async (invocation) => {
  const [, device = '', ...words] = invocation.args;
  const owned = await load(invocation, 'instance');
  if (owned.devices[device] !== undefined) throw invalid('The device already exists');
  const profiles = owned.value.expanded_devices?.[device];
  if (profiles === undefined) throw invalid("The profile device doesn't exist");
  owned.devices[device] = { ...profiles, ...pairs(words, 'No value found in') };
  await save(invocation, 'instance', owned);
  if (!invocation.flags.bool('quiet')) invocation.print(`Device ${device} overridden for ${owned.name}`);
};
