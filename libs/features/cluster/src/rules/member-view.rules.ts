import type { ClusterMember } from '#api-types';
import type { MemberRow } from '../data/members.repository.js';

/** What is known about a member beside its row. */
export interface MemberPresence {
  readonly online: boolean;
  /** Milliseconds since 1970; null when it never was seen. */
  readonly lastSeenMs: number | null;
  readonly leads: boolean;
}

/** A member as the API shows it. `newest` is the newest version any member announced. */
export function memberView(row: MemberRow, presence: MemberPresence, newest: MemberRow['version'], now: Date): ClusterMember {
  const { status, message } = condition(row, presence, newest, now);
  return {
    roles: [...rolesOf(row, presence.leads)], failure_domain: row.failureDomain, description: row.description, config: row.config, groups: row.groups,
    server_name: row.name, url: `https://${row.address}`, database: row.voter === 'voter', status, message, architecture: row.architecture,
  };
}

/** The fields a client may change: what the ETag is over. */
export function memberEtag(row: MemberRow, leads: boolean): unknown {
  return { roles: rolesOf(row, leads), failure_domain: row.failureDomain, description: row.description, config: row.config, groups: row.groups };
}

/** Those given by hand, then those the member has for its part in the database. */
export function rolesOf(row: Pick<MemberRow, 'roles' | 'voter'>, leads: boolean): string[] {
  const database = row.voter === 'voter' ? [...(leads ? ['database-leader'] : []), 'database'] : row.voter === 'standby' ? ['database-standby'] : [];
  return [...row.roles, ...database];
}

function condition(row: MemberRow, { online, lastSeenMs }: MemberPresence, newest: MemberRow['version'], now: Date): { status: string; message: string } {
  if (row.state === 'evacuated') return { status: 'Evacuated', message: 'Unavailable due to maintenance' };
  if (!online) {
    const message = lastSeenMs === null ? 'No heartbeat' : `No heartbeat for ${goDuration(now.getTime() - lastSeenMs)} (${goTime(new Date(lastSeenMs))})`;
    return { status: 'Offline', message };
  }
  if (isOlder(row.version, newest)) return { status: 'Blocked', message: 'Needs updating to newer version' };
  return { status: 'Online', message: 'Fully operational' };
}

function isOlder(version: MemberRow['version'], newest: MemberRow['version']): boolean {
  return (version.level ?? newest.level ?? 0) < (newest.level ?? 0) || (version.apiExtensions ?? newest.apiExtensions ?? 0) < (newest.apiExtensions ?? 0);
}

/** The newest of what members announced. */
export function newestVersion(rows: readonly MemberRow[]): MemberRow['version'] {
  return { level: Math.max(0, ...rows.map((row) => row.version.level ?? 0)), apiExtensions: Math.max(0, ...rows.map((row) => row.version.apiExtensions ?? 0)) };
}

/** As Go prints a duration: `1h2m3.5s`. */
export function goDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${Number((seconds % 60).toFixed(3))}s`;
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}

function goTime(date: Date): string {
  const text = date.toISOString().replace('T', ' ').replace('Z', '').replace(/\.?0+$/, '');
  return `${text} +0000 UTC`;
}
