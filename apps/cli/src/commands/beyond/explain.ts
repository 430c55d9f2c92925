import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { asTable } from '../../output/table.js';
import { url, type Server } from '../../server.js';
import type { InstanceView } from '../instance-shape.js';
import { recordsOf } from './records.js';

interface Profile { readonly name: string; readonly config: Readonly<Record<string, string>> | null; readonly devices: Readonly<Record<string, object>> | null }

/** Which of several sources a setting is taken from: the instance, else the last of its profiles that has it. */
export const explain: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const one = await server.get<InstanceView>(url(['instances', name]));
  const profiles: Profile[] = [];
  for (const profile of one.profiles ?? []) profiles.push(await server.get<Profile>(url(['profiles', profile])));
  const sourceOf = (has: (holder: Pick<Profile, 'config' | 'devices'>) => boolean): string => {
    const inProfiles = profiles.filter(has).map((profile) => profile.name);
    if (has(one)) return inProfiles.length === 0 ? 'the instance' : `the instance, over ${inProfiles.map((profile) => `profile ${profile}`).join(' and ')}`;
    const last = inProfiles.pop();
    if (last === undefined) return 'the server';
    return inProfiles.length === 0 ? `profile ${last}` : `profile ${last}, over ${inProfiles.map((profile) => `profile ${profile}`).join(' and ')}`;
  };
  const key = invocation.arg(1);
  const config = Object.entries(one.expanded_config ?? {}).filter(([found]) => key === '' ? !found.startsWith('volatile.') && !found.startsWith('image.') : found === key);
  if (key !== '') {
    if (config.length === 0) throw invalid(`Nothing sets "${key}" for "${name}": neither it nor ${profiles.length === 0 ? 'a profile' : profiles.map((profile) => profile.name).join(', ')}`);
    return invocation.print(`${key} is "${config[0]![1]}", from ${sourceOf((holder) => holder.config?.[key] !== undefined)}`);
  }
  invocation.print(`${name} is ${one.status.toLowerCase()}${await placement(server, one)}`);
  for (const line of await choice(server, one)) invocation.print(line);
  const rows = [
    ...config.map(([found, value]) => [found, value, sourceOf((holder) => holder.config?.[found] !== undefined)]),
    ...Object.entries(one.expanded_devices ?? {}).map(([device, keys]) => [`device ${device}`, Object.entries(keys).map(([found, value]) => `${found}=${value}`).join(' '), sourceOf((holder) => holder.devices?.[device] !== undefined)]),
  ];
  invocation.terminal.out(asTable(['SETTING', 'VALUE', 'FROM'], rows));
};

/** Why it is where it is, as far as it can be told. */
async function placement(server: Server, one: InstanceView): Promise<string> {
  if (!server.clustered) return '';
  const member = await server.get<{ status: string; groups: string[] | null; config: Record<string, string> | null }>(url(['cluster', 'members', one.location])).catch(() => undefined);
  const group = one.expanded_config?.['volatile.cluster.group'];
  const origin = one.config?.['volatile.evacuate.origin'];
  const reasons = [
    origin === undefined ? '' : `it belongs on ${origin}, which is evacuated`,
    group === undefined ? '' : `it was made for the group ${group}`,
    member === undefined ? '' : `the member is ${member.status.toLowerCase()}, in ${(member.groups ?? []).join(', ')}, and takes ${schedulerText(member.config?.['scheduler.instance'])}`,
  ].filter((reason) => reason !== '');
  return ` on ${one.location}${reasons.length === 0 ? '' : `: ${reasons.join('; ')}`}`;
}

interface Placement { readonly named: boolean; readonly group?: string; readonly others?: Readonly<Record<string, string>> }

/** Why it was made where it was, as the server wrote it down then. */
async function choice(server: Server, one: InstanceView): Promise<string[]> {
  if (!server.clustered) return [];
  const made = (await recordsOf(server, one.name)).findLast(({ metadata, err }) => err === '' && metadata['placement'] !== undefined);
  if (made === undefined) return [];
  const { named, group, others = {} } = made.metadata['placement'] as Placement;
  const where = made.location === one.location ? '' : ` on ${made.location}`;
  if (named) return [`It was made${where || ' there'} because that member was asked for`];
  return [`It was made${where || ' there'} because${group === undefined ? '' : ` the group ${group} was asked for, and`} no other member would do better:`,
    ...Object.entries(others).map(([member, reason]) => `  ${member} ${reason.replace(/^has /, 'had ').replace(/ has (?=\d+$)/, ' had ').replace(/^is /, 'was ').replace(/^takes /, 'took ')}`)];
}

function schedulerText(value: string | undefined): string {
  if (value === 'manual') return 'only instances that name it';
  return value === 'group' ? 'only instances that name its group' : 'any instance';
}
