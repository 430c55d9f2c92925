import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { Global, Module } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, Logger, SilentLogger } from '#kernel';
import { Authenticator, ClusterCertificates } from '#platform/auth';
import { Database, DatabaseModule, TransactionRunner } from '#platform/database';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type ApiApp } from '#platform/http';
import { OperationsModule, OperationsService } from '#platform/operations';
import { ProfilesModule } from './profiles.module.js';
import { ProfileUsage, type ProfileChange, type ProfileFailure } from './profile-usage.registry.js';

interface Answer { status: number; location: string; etag: string; metadata: any; error: string }

let api: ApiApp;
let folder: string;
let socketPath: string;
const events: string[] = [];
const users = { used: [] as string[], refuse: '', failures: [] as ProfileFailure[], changes: [] as ProfileChange[] };

@Global()
@Module({
  providers: [
    { provide: Logger, useClass: SilentLogger },
    { provide: ClusterCertificates, useValue: { onChange: () => () => undefined } },
    { provide: Authenticator, useValue: { identify: () => ({ username: 'root', protocol: 'unix', address: '@', trusted: true, allowedProjects: null }) } },
  ],
  exports: [Logger, ClusterCertificates, Authenticator],
})
class FakesModule {}

beforeAll(async () => {
  folder = await mkdtemp(`${tmpdir()}/roost-profiles-`);
  socketPath = `${folder}/unix.socket`;
  @Module({ imports: [FakesModule, DatabaseModule.forRoot({ directory: `${folder}/database` }), EventBusModule, OperationsModule.forRoot(), HttpModule, ProfilesModule] })
  class TestModule {}
  api = await createApiApp(TestModule);
  await api.server.listenUnix(socketPath);
  api.app.get(EventBus).subscribe({ types: ['lifecycle'], project: null }, (json) => {
    const { action, source } = JSON.parse(json).metadata;
    events.push(`${action} ${source}`);
  });
  api.app.get(ProfileUsage).register({
    usedBy: () => users.used,
    check: () => { if (users.refuse !== '') throw new TypeError(users.refuse); },
    apply: async (_ctx, change) => { users.changes.push(change); return users.failures; },
  });
});

beforeEach(() => Object.assign(users, { used: [], refuse: '', failures: [], changes: [] }));

afterAll(async () => {
  await api.server.close();
  await api.app.close();
  await rm(folder, { recursive: true });
});

function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) } }, (response) => {
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => {
        const { metadata, error } = JSON.parse(text);
        resolve({ status: response.statusCode ?? 0, location: response.headers.location ?? '', etag: response.headers.etag ?? '', metadata, error });
      });
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const profiles = '/1.0/profiles';
const projects = '/1.0/projects';

describe('/1.0/profiles', () => {
  it('creates, shows, merges, replaces, renames and deletes', async () => {
    const device = { type: 'nic', nictype: 'bridged', parent: 'br0', name: '' };
    expect(await call('POST', profiles, { name: 'q1', description: 'd', config: { 'user.a': 'b', 'user.e': '' }, devices: { eth0: device } })).toMatchObject({ status: 201, location: '/1.0/profiles/q1' });

    const shown = await call('GET', `${profiles}/q1`);
    expect(shown.metadata).toEqual({ name: 'q1', description: 'd', config: { 'user.a': 'b' }, devices: { eth0: { type: 'nic', nictype: 'bridged', parent: 'br0' } }, used_by: [] });

    expect((await call('PATCH', `${profiles}/q1`, { config: { 'user.c': 'd', 'user.a': '' } })).status).toBe(200);
    expect((await call('GET', `${profiles}/q1`)).metadata).toMatchObject({ description: 'd', config: { 'user.c': 'd' }, devices: { eth0: { parent: 'br0' } } });
    expect((await call('PUT', `${profiles}/q1`, { config: { 'user.z': '1' } })).status).toBe(200);
    expect((await call('GET', `${profiles}/q1`)).metadata).toMatchObject({ description: '', config: { 'user.z': '1' }, devices: {} });

    expect(await call('POST', `${profiles}/q1`, { name: 'q2' })).toMatchObject({ status: 201, location: '/1.0/profiles/q2' });
    expect((await call('GET', profiles)).metadata).toEqual(['/1.0/profiles/default', '/1.0/profiles/q2']);
    expect((await call('DELETE', `${profiles}/q2`)).status).toBe(200);
    expect(events).toEqual(expect.arrayContaining([
      'profile-created /1.0/profiles/q1', 'profile-updated /1.0/profiles/q1', 'profile-renamed /1.0/profiles/q2', 'profile-deleted /1.0/profiles/q2',
    ]));
  });

  it.each([
    ['GET', '/nope', undefined, 404, 'Fetch profile: Profile not found'],
    ['GET', '/default?project=nope', undefined, 404, 'Failed loading project "nope": Project not found'],
    ['POST', '?project=nope', { name: 'x' }, 404, 'Failed loading project "nope": Project not found'],
    ['POST', '', {}, 400, 'No name provided'],
    ['POST', '', { name: 'a/b' }, 400, 'Profile names may not contain slashes'],
    ['POST', '', { name: '..' }, 400, 'Invalid profile name ".."'],
    ['POST', '', { name: 'default' }, 409, 'Error inserting "default" into database: The profile already exists'],
    ['POST', '', { name: 'x', config: { nope: '1' } }, 400, 'Unknown configuration key: nope'],
    ['POST', '', { name: 'x', config: { 'volatile.uuid': '1' } }, 400, 'Volatile keys can only be set on instances'],
    ['POST', '', { name: 'x', devices: { a: {} } }, 400, 'Device validation failed for "a": Failed loading device "a": Missing device type in config'],
    ['POST', '', { name: 'x', devices: { a: { type: 'nic', network: 'n' } } }, 404, 'Device validation failed for "a": Failed loading device "a": Failed to load network "n" for project "default": Network not found'],
    ['POST', '/default', { name: 'x' }, 403, 'The "default" profile cannot be renamed'],
    ['POST', '/nope', { name: 'x' }, 404, 'Profile not found'],
    ['PUT', '/nope', {}, 404, 'Failed to retrieve profile "nope": Profile not found'],
    ['PATCH', '/nope', {}, 404, 'Failed to retrieve profile="nope": Profile not found'],
    ['PUT', '/default', { config: [] }, 400, 'json: cannot unmarshal array into Go struct field ProfilePut.config of type map[string]string'],
    ['PUT', '/default', { description: 5 }, 400, 'json: cannot unmarshal number into Go struct field ProfilePut.description of type string'],
    ['DELETE', '/default', undefined, 403, 'The "default" profile cannot be deleted'],
    ['DELETE', '/nope', undefined, 404, 'Profile not found'],
  ])('answers %s %s %j with %i %s', async (method, path, body, status, error) => {
    expect(await call(method, `${profiles}${path}`, body)).toMatchObject({ status, error });
  });

  it('refuses a change that rests on an older state', async () => {
    const { etag } = await call('GET', `${profiles}/default`);

    expect((await call('PATCH', `${profiles}/default`, { description: 'new' }, { 'if-match': etag })).status).toBe(200);
    expect((await call('PATCH', `${profiles}/default`, { description: 'newer' }, { 'if-match': etag })).status).toBe(412);
  });

  it('applies a change to its users and names those that did not take it', async () => {
    users.failures = [{ project: 'default', instance: 'c1', error: 'no' }];

    const answer = await call('PATCH', `${profiles}/default`, { config: { 'limits.memory': '1GiB' } });

    expect(answer).toMatchObject({ status: 500, error: 'The following instances failed to update (profile change still saved):\n - Project: default, Instance: c1: no\n' });
    expect(users.changes[0]).toMatchObject({ before: { config: {} }, after: { config: { 'limits.memory': '1GiB' } } });
    expect((await call('GET', `${profiles}/default`)).metadata.config).toEqual({ 'limits.memory': '1GiB' });
  });

  it('leaves instances alone when only the description changes', async () => {
    await call('PATCH', `${profiles}/default`, { description: 'other' });

    expect(users.changes).toEqual([]);
  });

  it('asks its users before it writes, and does not delete what is used', async () => {
    await call('POST', profiles, { name: 'used' });
    users.refuse = 'At least one instance relies on it';
    users.used = ['/1.0/instances/c1'];

    expect((await call('PATCH', `${profiles}/used`, { config: { 'user.a': '1' } })).status).toBe(500);
    expect((await call('GET', `${profiles}/used`)).metadata).toMatchObject({ config: {}, used_by: ['/1.0/instances/c1'] });
    expect(await call('DELETE', `${profiles}/used`)).toMatchObject({ status: 500, error: 'Profile is currently in use' });

    users.used = [];
    expect((await call('DELETE', `${profiles}/used`)).status).toBe(200);
  });
});

describe('/1.0/projects', () => {
  const create = (name: string, config: Record<string, string> = {}) => call('POST', projects, { name, config });

  it('gives a new project its features and its default profile', async () => {
    expect(await create('web')).toMatchObject({ status: 201, location: '/1.0/projects/web' });

    expect((await call('GET', `${projects}/web`)).metadata).toEqual({
      name: 'web', description: '', config: { 'features.images': 'true', 'features.profiles': 'true', 'features.storage.volumes': 'true' },
      used_by: ['/1.0/profiles/default?project=web'],
    });
    expect((await call('GET', `${profiles}/default?project=web`)).metadata.description).toBe('Default LXD profile for project web');
    expect((await call('DELETE', `${projects}/web`)).status).toBe(200);
    expect((await call('GET', projects)).metadata).toEqual(['/1.0/projects/default']);
  });

  it('shows the profiles of the default project where a project has none of its own', async () => {
    await create('plain', { 'features.profiles': 'false' });

    expect((await call('GET', `${profiles}?project=plain`)).metadata).toEqual(['/1.0/profiles/default']);
    expect((await call('POST', `${profiles}?project=plain`, { name: 'w1' })).location).toBe('/1.0/profiles/w1');
    expect((await call('DELETE', `${profiles}/w1`)).status).toBe(200);
    expect((await call('DELETE', `${projects}/plain`)).status).toBe(200);
  });

  it.each([
    [{}, 400, 'No name provided'],
    [{ name: 'a/b' }, 400, 'Project names may not contain slashes'],
    [{ name: 'a b' }, 400, 'Project names may not contain spaces'],
    [{ name: 'a_b' }, 400, 'Project names may not contain underscores'],
    [{ name: "a'b" }, 400, 'Project names may not contain quotes'],
    [{ name: '*' }, 400, 'Reserved project name'],
    [{ name: '.' }, 400, 'Invalid project name "."'],
    [{ name: 'default' }, 409, 'Failed creating project "default": Failed adding database record: This "projects" entry already exists'],
    [{ name: 'p', config: { nope: '1' } }, 400, 'Invalid project configuration key "nope"'],
    [{ name: 'p', config: { 'features.images': 'x' } }, 400, 'Invalid project configuration key "features.images" value: Invalid value for a boolean "x"'],
    [{ name: 'p', config: { 'limits.cpu': '1-2' } }, 400, 'Invalid project configuration key "limits.cpu" value: Invalid value for uint32 "1-2": strconv.ParseUint: parsing "1-2": invalid syntax'],
    [{ name: 'p', config: { 'restricted.networks.zones': 'x' } }, 400, 'Project configuration key "restricted.networks.zones" cannot be set: this server does not enforce it'],
    [{ name: 'p', config: { 'images.compression_algorithm': 'x' } }, 400, 'Invalid project configuration key "images.compression_algorithm" value: Invalid compression algorithm "x"'],
  ])('refuses to create %j', async (body, status, error) => {
    expect(await call('POST', projects, body)).toMatchObject({ status, error });
  });

  it('guards the default project', async () => {
    expect(await call('POST', `${projects}/default`, { name: 'x' })).toMatchObject({ status: 403, error: "The 'default' project cannot be renamed" });
    expect(await call('DELETE', `${projects}/default`)).toMatchObject({ status: 403, error: "The 'default' project cannot be deleted" });
    expect(await call('PATCH', `${projects}/default`, { config: { 'features.images': 'false' } })).toMatchObject({ status: 400, error: "You can't change the features of the default project" });
  });

  it('renames and deletes only what is empty, and changes features only then', async () => {
    await create('pa');
    await call('POST', `${profiles}?project=pa`, { name: 'x1' });
    const rename = async (name: string): Promise<string> => {
      const { metadata } = await call('POST', `${projects}/pa`, { name });
      expect(metadata).toMatchObject({ class: 'task', description: 'Renaming project' });
      return (await operation(metadata.id)).err;
    };

    expect(await rename('pb')).toBe('Only empty projects can be renamed');
    expect(await call('DELETE', `${projects}/pa`)).toMatchObject({ status: 500, error: 'Only empty projects can be removed' });
    expect((await call('PATCH', `${projects}/pa`, { config: {} })).error).toMatch(/^Project feature "features.images" cannot be disabled on non-empty projects$/);

    await call('DELETE', `${profiles}/x1?project=pa`);
    expect(await rename('default')).toBe('A project named "default" already exists');
    expect(await rename('a b')).toBe('Project names may not contain spaces');
    expect(await rename('pb')).toBe('');
    expect((await call('GET', `${projects}/pb`)).metadata.used_by).toEqual(['/1.0/profiles/default?project=pb']);
    expect((await call('PUT', `${projects}/pb`, {})).status).toBe(200);
    expect((await call('GET', `${projects}/pb`)).metadata).toMatchObject({ config: {}, used_by: [] });
    expect((await call('PATCH', `${projects}/pb`, { config: { 'features.profiles': 'true' } })).status).toBe(200);
    expect((await call('GET', `${profiles}?project=pb`)).metadata).toEqual(['/1.0/profiles/default?project=pb']);
    expect((await call('DELETE', `${projects}/pb`)).status).toBe(200);
  });

  it('does not delete a project with rows that no feature told of', async () => {
    await create('full');
    await api.app.get(TransactionRunner).run(internalContext(), (tx) =>
      tx.sql.run("INSERT INTO networks (id, project_id, name, type, state) SELECT 99, id, 'n', 'bridge', 'Created' FROM projects WHERE name = 'full'"));

    expect(await call('DELETE', `${projects}/full`)).toMatchObject({ status: 500, error: 'Only empty projects can be removed' });
    await api.app.get(TransactionRunner).run(internalContext(), (tx) => tx.sql.run('DELETE FROM networks WHERE id = 99'));
    expect((await call('DELETE', `${projects}/full`)).status).toBe(200);
    expect(api.app.get(Database).read.all("SELECT name FROM profiles WHERE name <> 'default' OR project_id <> 1")).toEqual([]);
  });

  it('adds up what the instances of a project may use', async () => {
    await api.app.get(TransactionRunner).run(internalContext(), (tx) => tx.sql.run(
      `INSERT INTO instances (id, node_id, project_id, name, type, architecture, creation_date, last_use_date, state, profiles, config)
       VALUES (5, 1, 1, 'c1', 'container', 'x86_64', '', '', 'Stopped', '[1]', '{"limits.cpu":"2"}')`));

    const { resources } = (await call('GET', `${projects}/default/state`)).metadata;

    expect(resources).toMatchObject({
      containers: { Limit: -1, Usage: 1 }, instances: { Limit: -1, Usage: 1 }, cpu: { Limit: -1, Usage: 2 }, memory: { Limit: -1, Usage: 1024 ** 3 }, 'virtual-machines': { Limit: -1, Usage: 0 },
    });
    expect(Object.keys(resources)).toEqual(['containers', 'cpu', 'disk', 'instances', 'memory', 'networks', 'processes', 'virtual-machines']);
    expect(await call('GET', `${projects}/nope/state`)).toMatchObject({ status: 404, error: 'Fetch project database object: Project not found' });
  });

  async function operation(id: string): Promise<{ err: string }> {
    return api.app.get(OperationsService).get(id).wait();
  }
});
