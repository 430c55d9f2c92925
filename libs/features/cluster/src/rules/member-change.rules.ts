import type { ClusterMemberPut } from '#api-types';
import { internal, invalid } from '#kernel';
import type { MemberRow } from '../data/members.repository.js';
import { rolesOf } from './member-view.rules.js';

/** Roles that members have for their part in the database; nobody gives or takes them by hand. */
const databaseRoles = ['database-leader', 'database-standby', 'database'];
const roles = ['event-hub', 'ovn-chassis'];
const schedulers = ['all', 'group', 'manual'];

/** What a PUT or PATCH makes of a member. Refusals have the words and the order of LXD. */
export function changedMember(row: MemberRow, body: ClusterMemberPut, options: { readonly patch: boolean }): Pick<MemberRow, 'description' | 'roles' | 'config' | 'failureDomain' | 'groups'> {
  for (const role of databaseRoles.filter((name) => name !== 'database-leader')) {
    if (rolesOf(row, false).includes(role) && !body.roles.includes(role)) throw invalid(`The "${role}" role cannot be dropped at this time`);
  }
  const config = options.patch ? { ...row.config, ...body.config } : { ...body.config };
  for (const [key, value] of Object.entries(config)) checkConfig(key, value);
  if (body.groups.length === 0) throw invalid('Cluster members need to belong to at least one group');
  const given = [...new Set(body.roles)].filter((role) => !databaseRoles.includes(role));
  const unknown = given.find((role) => !roles.includes(role));
  if (unknown !== undefined) throw internal(`Update roles: Invalid cluster role "${unknown}"`);
  if (body.failure_domain === '') throw internal("Update failure domain: Failure domain name can't be empty");
  return {
    description: body.description, roles: given, failureDomain: body.failure_domain, groups: body.groups,
    config: Object.fromEntries(Object.entries(config).filter(([, value]) => value !== '')),
  };
}

function checkConfig(key: string, value: string): void {
  if (key.startsWith('user.')) return;
  if (key !== 'scheduler.instance') throw internal(`Invalid cluster configuration key "${key}"`);
  if (value !== '' && !schedulers.includes(value)) throw internal(`Invalid cluster configuration key "${key}" value`);
}

/** A name must be able to stand in a URL and in `volume@member`. */
export function checkMemberName(name: string): void {
  if (name === '') throw invalid('ServerName is required');
  if (name === 'none' || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw invalid(`Invalid cluster member name "${name}"`);
}
