import { describe, expect, it } from 'vitest';
import type { MemberRow } from '../data/members.repository.js';
import { checkGroupName } from './group-name.rules.js';
import { changedMember, checkMemberName } from './member-change.rules.js';
import { goDuration, memberView, newestVersion, rolesOf } from './member-view.rules.js';

const row: MemberRow = {
  id: 2, name: 'm2', description: '', address: '10.0.0.2:8443', architecture: 'x86_64', roles: [], config: { 'user.x': '1' }, failureDomain: 'default', state: 'created',
  voter: 'voter', version: { level: 3, apiExtensions: 10 }, certificate: '', groups: ['default'],
};
const now = new Date('2026-11-21T13:40:30Z');
const seen = { online: true, lastSeenMs: now.getTime(), leads: false };
const body = { roles: ['database'], failure_domain: 'default', description: '', config: {}, groups: ['default'] };

describe('memberView', () => {
  it('says how a member is, as LXD does', () => {
    const view = (change: Partial<MemberRow>, presence = seen, newest = row.version) => memberView({ ...row, ...change }, presence, newest, now);

    expect(view({})).toEqual({
      roles: ['database'], failure_domain: 'default', description: '', config: { 'user.x': '1' }, groups: ['default'], server_name: 'm2', url: 'https://10.0.0.2:8443',
      database: true, status: 'Online', message: 'Fully operational', architecture: 'x86_64',
    });
    expect(view({ state: 'evacuated' }, { ...seen, online: false })).toMatchObject({ status: 'Evacuated', message: 'Unavailable due to maintenance' });
    expect(view({}, { online: false, lastSeenMs: now.getTime() - 62_500, leads: false }))
      .toMatchObject({ status: 'Offline', message: 'No heartbeat for 1m2.5s (2026-11-21 13:39:27.5 +0000 UTC)' });
    expect(view({}, seen, { level: 4, apiExtensions: 10 })).toMatchObject({ status: 'Blocked', message: 'Needs updating to newer version' });
    expect(view({ voter: 'standby' })).toMatchObject({ roles: ['database-standby'], database: false });
  });

  it('takes the newest of all versions, and leaves out what a member did not announce', () => {
    expect(newestVersion([row, { ...row, version: { level: 4 } }])).toEqual({ level: 4, apiExtensions: 10 });
    expect(rolesOf({ roles: ['event-hub'], voter: 'voter' }, true)).toEqual(['event-hub', 'database-leader', 'database']);
    expect([goDuration(999), goDuration(3_723_000)]).toEqual(['0.999s', '1h2m3s']);
  });
});

describe('changedMember', () => {
  it('refuses what LXD refuses, in its order and words', () => {
    const refused = (change: object, words: string) => expect(() => changedMember(row, { ...body, ...change }, { patch: false })).toThrow(words);

    refused({ roles: [], groups: [] }, 'The "database" role cannot be dropped at this time');
    refused({ config: { foo: 'x' }, groups: [] }, 'Invalid cluster configuration key "foo"');
    refused({ config: { 'scheduler.instance': 'bad' } }, 'Invalid cluster configuration key "scheduler.instance" value');
    refused({ groups: [], roles: ['database', 'foo'] }, 'Cluster members need to belong to at least one group');
    refused({ roles: ['database', 'foo'] }, 'Update roles: Invalid cluster role "foo"');
    refused({ failure_domain: '' }, "Update failure domain: Failure domain name can't be empty");
  });

  it('replaces on PUT and merges configuration on PATCH', () => {
    const change = { ...body, roles: ['database', 'event-hub'], config: { 'user.y': '2', 'user.z': '' } };

    expect(changedMember(row, change, { patch: false })).toMatchObject({ roles: ['event-hub'], config: { 'user.y': '2' } });
    expect(changedMember(row, change, { patch: true })).toMatchObject({ config: { 'user.x': '1', 'user.y': '2' } });
  });
});

describe('names', () => {
  it('keeps out what cannot stand in a URL', () => {
    for (const name of ['', 'none', 'a/b', 'a b']) expect(() => checkMemberName(name)).toThrow();
    expect(() => checkMemberName('node-1.example')).not.toThrow();
    expect(() => checkGroupName('')).toThrow('No name provided');
    expect(() => checkGroupName('a/b')).toThrow('Cluster group names may not contain slashes');
    expect(() => checkGroupName('a b')).toThrow('Cluster group names may not contain spaces');
    expect(() => checkGroupName('..')).toThrow('Invalid cluster group name ".."');
  });
});
