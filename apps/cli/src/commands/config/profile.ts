import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { ConfigKind } from '../config-kind.js';
import { writableInstance, type Devices, type InstanceView } from '../instance-shape.js';

export interface ProfileView {
  readonly name: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>> | null;
  readonly devices: Devices | null;
  readonly used_by: readonly string[] | null;
}

export const kind = new ConfigKind({
  noun: 'Profile', path: ([name]) => ['profiles', name!], shape: { config: null, description: '', devices: null },
  usersAsSent: true,
  explanation: 'A profile: configuration and devices for all instances that have it, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
});

export const create: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing profile name');
  const given = invocation.terminal.inputIsTerminal ? null : await parseYaml((await invocation.terminal.readAll()).toString('utf8'));
  await invocation.run(server, 'POST', url(['profiles']), { ...kind.writable(given as Record<string, unknown> | null), name });
  if (!invocation.flags.bool('quiet')) invocation.print(`Profile ${name} created`);
};

export const copy: Run = async (invocation) => {
  const source = await invocation.place(invocation.arg(0));
  const destination = await invocation.place(invocation.arg(1));
  if (source.name === '') throw invalid('Missing source profile name');
  const profile = await source.server.get<ProfileView>(url(['profiles', source.name]));
  await invocation.run(destination.server, 'POST', url(['profiles'], { project: invocation.flags.text('target-project') }), {
    ...kind.writable(profile as unknown as Record<string, unknown>), name: destination.name === '' ? source.name : destination.name,
  });
};

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  const profiles = await server.get<ProfileView[]>(url(['profiles'], { recursion: 1 }));
  const rows = sortRows(profiles.map((one) => [one.name, one.description, String(one.used_by?.length ?? 0)]));
  invocation.printList(['NAME', 'DESCRIPTION', 'USED BY'], rows, profiles);
};

/** Exchanges the profiles of an instance for what `change` makes of them. */
function changeProfiles(change: (now: readonly string[], argument: string) => readonly string[], said: (instance: string, argument: string) => string): Run {
  return async (invocation) => {
    const { server, name } = await invocation.place(invocation.arg(0));
    if (name === '') throw invalid('Missing instance name');
    const argument = invocation.arg(1);
    const path = url(['instances', name]);
    const { value, etag } = await server.fetch<InstanceView>(path);
    await invocation.run(server, 'PUT', path, { ...writableInstance(value), profiles: change(value.profiles ?? [], argument) }, '', { 'if-match': etag });
    if (!invocation.flags.bool('quiet')) invocation.print(said(name, argument));
  };
}

export const add = changeProfiles((now, profile) => [...now, profile], (instance, profile) => `Profile ${profile} added to ${instance}`);

export const assign = changeProfiles(
  (_now, profiles) => (profiles === '' ? [] : profiles.split(',')),
  (instance, profiles) => `Profiles ${profiles === '' ? '(none)' : profiles} applied to ${instance}`,
);

export const remove: Run = async (invocation) => {
  const instance = invocation.parse(invocation.arg(0)).name;
  return changeProfiles((now, profile) => {
    if (!now.includes(profile)) throw invalid(`Profile ${profile} isn't currently applied to ${instance}`);
    return now.filter((one) => one !== profile);
  }, (name, profile) => `Profile ${profile} removed from ${name}`)(invocation);
};
