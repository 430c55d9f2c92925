import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { internalContext } from '#kernel';
import { generateServerCertificate, TrustStore } from '#platform/auth';
import { Database, TransactionRunner } from '#platform/database';
import { LocalMembership } from './local-membership.service.js';
import { ClusterMembersReconciler } from './reconcile/cluster-members.reconciler.js';
import { SingleMember, type Answer } from './testing/single-member.js';

const ctx = internalContext();
const members = '/1.0/cluster/members';
const groups = '/1.0/cluster/groups';

describe('a server that stands alone', () => {
  let alone: SingleMember;
  beforeAll(async () => { alone = await SingleMember.start(); });
  afterAll(() => alone.close());

  it('answers as LXD answers', async () => {
    expect((await alone.send('GET', '/1.0/cluster')).metadata).toEqual({ server_name: '', enabled: false, member_config: [] });
    const cases: [string, string, unknown, number, string][] = [
      ['GET', members, undefined, 500, 'Server is not clustered'],
      ['GET', `${members}/x`, undefined, 500, 'Server is not clustered'],
      ['GET', `${members}/x/state`, undefined, 501, 'not implemented'],
      ['POST', members, { server_name: 'x' }, 400, 'This server is not clustered'],
      ['PUT', `${members}/x`, {}, 500, 'Server is not clustered'],
      ['POST', `${members}/x`, { server_name: 'y' }, 500, 'expected to update one row, not 0'],
      ['POST', `${members}/x/state`, { action: 'evacuate' }, 404, 'Cluster member not found'],
      ['DELETE', `${members}/x`, undefined, 500, 'Server is not clustered'],
      ['GET', groups, undefined, 400, 'This server is not clustered'],
      ['POST', groups, { name: 'x' }, 400, 'This server is not clustered'],
      ['POST', `${groups}/default`, { name: 'x' }, 403, 'The "default" group cannot be renamed'],
      ['DELETE', `${groups}/default`, undefined, 403, "The 'default' cluster group cannot be deleted"],
      ['PUT', '/1.0/cluster', { enabled: true }, 400, 'ServerName is required when enabling clustering'],
      ['PUT', '/1.0/cluster', { enabled: false, server_name: 'm1' }, 400, 'ServerName must be empty when disabling clustering'],
      ['PUT', '/1.0/cluster', { enabled: true, server_name: 'm1' }, 500,
        'Cannot use wildcard core.https_address "" for cluster.https_address. Please specify a new cluster.https_address or core.https_address'],
      ['PUT', '/1.0/cluster', { enabled: true, server_name: 'm1', cluster_address: '127.0.0.9:8443' }, 400, 'No target cluster member certificate provided'],
      ['PUT', '/1.0/cluster', { enabled: true, server_name: 'm1', cluster_address: '127.0.0.9:8443', cluster_certificate: 'x' }, 400, 'No server address provided for this member'],
      ['PUT', '/1.0/cluster/certificate', {}, 400, 'Certificate must be base64 encoded PEM certificate: %!w(<nil>)'],
    ];
    for (const [method, path, body, status, error] of cases) expect(await alone.send(method, path, body), `${method} ${path}`).toMatchObject({ status, error });
    expect(await alone.send('PUT', '/1.0/cluster', { enabled: false })).toMatchObject({ status: 200 });
    expect(await alone.send('PATCH', '/1.0', { config: { 'cluster.https_address': '127.0.0.1:0' } })).toMatchObject({ status: 200 });
    expect(await alone.send('PATCH', '/1.0', { config: { 'cluster.https_address': '' } })).toMatchObject({ status: 200 });
  });

  it('does not join while it has instances, which joining would drop', async () => {
    await alone.get(TransactionRunner).run(ctx, (tx) => {
      tx.sql.run(`INSERT INTO instances (id, node_id, project_id, name, type, architecture, creation_date, last_use_date, state) VALUES (9, 1, 1, 'c1', 'container', 'x86_64', '', '', 'created')`);
    });

    const error = await alone.finish(alone.send('PUT', '/1.0/cluster', {
      enabled: true, server_name: 'm2', server_address: '127.0.0.2:8443', cluster_address: '127.0.0.9:8443', cluster_certificate: '-----BEGIN CERTIFICATE-----', cluster_password: 'x',
    }));

    expect(error).toContain('this one still has the following containers: c1');
    await alone.get(TransactionRunner).run(ctx, (tx) => tx.sql.run('DELETE FROM instances'));
  });
});

describe('a cluster', () => {
  let one: SingleMember;
  const joiner = { name: 'm2', address: '127.0.0.2:8443', architecture: 'x86_64', level: 99, apiExtensions: 1 };
  let identity: { certificate: string; key: string };
  const accept = (change: object = {}, tls = identity): Promise<Answer> =>
    one.send('POST', '/internal/cluster/accept', { ...joiner, certificate: tls.certificate, password: 'sekret', ...change }, { tls });
  const rows = (): { id: number; name: string; state: string }[] => one.get(Database).read.all('SELECT id, name, state FROM nodes ORDER BY id');

  beforeAll(async () => {
    one = await SingleMember.start();
    identity = await generateServerCertificate('joiner');
    await one.enable();
  });
  afterAll(() => one.close());

  it('begins with this server, shows its name and its certificate, and trusts it', async () => {
    expect((await one.send('GET', `${members}?recursion=1`)).metadata).toEqual([expect.objectContaining({
      roles: ['database-leader', 'database'], server_name: 'm1', database: true, status: 'Online', message: 'Fully operational', groups: ['default'], failure_domain: 'default',
    })]);
    const { environment } = (await one.send('GET', '/1.0')).metadata;
    expect(environment).toMatchObject({ server_clustered: true, server_name: 'm1' });
    expect(one.get(TrustStore).find(environment.certificate_fingerprint)).toBeUndefined();
    expect(one.events).toContainEqual(expect.objectContaining({ action: 'cluster-enabled', source: '/1.0/cluster/m1' }));
    expect(await one.finish(one.send('PUT', '/1.0/cluster', { enabled: true, server_name: 'm9' }))).toBe('This server is already clustered');
    expect(await one.send('PATCH', '/1.0', { config: { 'cluster.https_address': '127.0.0.1:1' } })).toMatchObject({ status: 500, error: 'Changing cluster.https_address is currently not supported' });
  });

  it('lets nobody in without password or token, nor under a name or address that is taken', async () => {
    const { certificate } = await generateServerCertificate('other');

    expect(await accept({ password: 'wrong' })).toMatchObject({ status: 403, error: 'not authorized' });
    expect(await accept({ certificate })).toMatchObject({ status: 403, error: 'not authorized' });
    expect(await accept({ name: 'm1' })).toMatchObject({ status: 409, error: 'The cluster already has a member with name: m1' });
    expect(await accept({ address: (await one.send('GET', '/1.0')).metadata.config['cluster.https_address'] })).toMatchObject({ status: 409 });
    expect((await accept({ level: 0 })).error).toContain('upgrade first');
    expect(rows()).toHaveLength(1);
  });

  it('writes a pending row that nobody sees, hands out the database to it alone, and forgets it when the joiner gives up', async () => {
    const { metadata } = await accept();

    expect(metadata).toMatchObject({ memberId: 2, admission: { incarnation: 'i' } });
    expect(rows()).toMatchObject([{ name: 'm1' }, { id: 2, name: 'm2', state: 'pending' }]);
    expect((await one.send('GET', members)).metadata).toEqual(['/1.0/cluster/members/m1']);
    expect(await one.send('GET', '/internal/cluster/snapshot', undefined, { tls: identity })).toMatchObject({ status: 200, metadata: 'the database' });
    expect((await one.send('GET', '/internal/cluster/snapshot')).status).toBe(403);

    expect((await accept()).metadata.memberId).toBe(3);
    await one.send('POST', '/internal/cluster/abandon', {}, { tls: identity });

    expect(rows()).toHaveLength(1);
    expect((await one.send('GET', '/internal/cluster/snapshot', undefined, { tls: identity })).status).toBe(403);
  });

  it('removes the row of a joiner that was gone for a minute, and not before', async () => {
    await accept();
    const reconciler = one.get(ClusterMembersReconciler);
    await reconciler.run(ctx.signal);
    expect(rows()).toHaveLength(2);

    await one.get(TransactionRunner).run(ctx, (tx) =>
      tx.sql.run(`UPDATE nodes SET config = json_object('volatile.joining_since', ?) WHERE name = 'm2'`, new Date(Date.now() - 61_000).toISOString()));
    await reconciler.run(ctx.signal);

    expect(rows()).toHaveLength(1);
  });

  it('issues one token per name, which lets in once', async () => {
    const first = (await one.send('POST', members, { server_name: 'm2' })).metadata;
    expect(first).toMatchObject({ class: 'token', description: 'Executing operation', resources: { cluster: null } });
    expect(Object.keys(first.metadata)).toEqual(['addresses', 'expiresAt', 'fingerprint', 'secret', 'serverName']);
    const second = (await one.send('POST', members, { server_name: 'm2' })).metadata;
    const token = ({ metadata }: { metadata: Record<string, unknown> }): string => Buffer.from(JSON.stringify({
      server_name: metadata['serverName'], fingerprint: metadata['fingerprint'], addresses: metadata['addresses'], secret: metadata['secret'],
    })).toString('base64');

    expect((await accept({ password: token(first) })).status).toBe(403);
    expect((await accept({ name: 'm3', password: token(second) })).status).toBe(403);
    expect((await one.send('POST', '/internal/cluster/questions', { name: 'm2', password: token(second) }, { tls: identity })).metadata).toMatchObject({ enabled: true });
    expect((await accept({ password: token(second) })).status).toBe(200);
    await one.send('POST', '/internal/cluster/abandon', {}, { tls: identity });
    expect((await accept({ password: token(second) })).status).toBe(403);
  });

  it('redeems tokens that another member issued', async () => {
    const other = one.network.add({ id: 7, name: 'm7', address: '127.0.0.7:8443' });
    const asked: object[] = [];
    other.handle('cluster.use-token', async (request: object) => {
      asked.push(request);
      return { found: 'valid' };
    });
    const text = Buffer.from(JSON.stringify({ server_name: 'm2', fingerprint: '', addresses: [], secret: 'abc' })).toString('base64');

    expect((await accept({ password: text })).status).toBe(200);

    expect(asked).toEqual([{ serverName: 'm2', secret: 'abc', use: true, guest: 'member' }]);
    await one.send('POST', '/internal/cluster/abandon', {}, { tls: identity });
    one.network.members.delete(7);
  });

  it('changes a member under its ETag, and renames it with its trust', async () => {
    const { etag } = await one.send('GET', `${members}/m1`);
    const body = { roles: ['database'], failure_domain: 'az1', groups: ['default'], config: { 'scheduler.instance': 'group' } };

    expect(await one.send('PUT', `${members}/m1`, body, { ifMatch: 'x' })).toMatchObject({ status: 412 });
    expect(await one.send('PUT', `${members}/m1`, body, { ifMatch: etag })).toMatchObject({ status: 200 });
    expect((await one.send('GET', `${members}/m1`)).metadata).toMatchObject({ failure_domain: 'az1', config: { 'scheduler.instance': 'group' } });
    expect(await one.send('PUT', `${members}/m1`, { ...body, groups: ['nosuch'] })).toMatchObject({
      status: 404, error: 'Update cluster groups: Failed to add member to cluster group: Failed to get cluster group ID: Cluster group not found',
    });

    expect(await one.send('POST', `${members}/m1`, { server_name: 'm8' })).toMatchObject({ status: 200 });
    expect(one.get(Database).read.get("SELECT name FROM certificates WHERE type = 'server'")).toEqual({ name: 'm8' });
    expect(one.events).toContainEqual(expect.objectContaining({ action: 'cluster-member-renamed', source: '/1.0/cluster/members/m8', context: { old_name: 'm1' } }));
    await one.send('POST', `${members}/m8`, { server_name: 'm1' });
  });

  it('keeps groups', async () => {
    expect(await one.send('POST', groups, { name: 'g1', description: 'd', members: ['m1'] })).toMatchObject({ status: 201 });
    expect(await one.send('POST', groups, { name: 'g1' })).toMatchObject({ status: 409, error: 'This cluster group already exists' });
    expect((await one.send('GET', `${groups}?recursion=1`)).metadata).toEqual([
      { description: 'Default cluster group', members: ['m1'], name: 'default' }, { description: 'd', members: ['m1'], name: 'g1' },
    ]);
    expect(await one.send('PATCH', `${groups}/g1`, { description: 'e' })).toMatchObject({ status: 200 });
    expect((await one.send('GET', `${groups}/g1`)).metadata).toEqual({ description: 'e', members: ['m1'], name: 'g1' });
    expect(await one.send('PUT', `${groups}/g1`, { members: ['nosuch'] })).toMatchObject({ status: 404, error: 'Failed to get node info: Cluster member not found' });
    expect(await one.send('POST', `${groups}/g1`, { name: 'default' })).toMatchObject({ status: 500, error: 'Name "default" already in use' });
    expect(await one.send('DELETE', `${groups}/g1`)).toMatchObject({ status: 500, error: 'Only empty cluster groups can be removed' });
    expect(await one.send('PUT', `${groups}/g1`, {})).toMatchObject({ status: 200 });
    expect(await one.send('DELETE', `${groups}/g1`)).toMatchObject({ status: 200 });
    expect(await one.send('DELETE', `${groups}/g1`)).toMatchObject({ status: 500, error: 'Query deleted 0 rows instead of 1' });
  });

  it('evacuates and restores this member', async () => {
    const state = (action: string): Promise<Answer> => one.send('POST', `${members}/m1/state`, { action });

    expect(await state('foo')).toMatchObject({ status: 400, error: 'Unknown action "foo"' });
    expect(await one.finish(state('evacuate'))).toBe('');
    expect((await one.send('GET', `${members}/m1`)).metadata).toMatchObject({ status: 'Evacuated' });
    expect(await one.finish(state('evacuate'))).toBe('Cluster member is already evacuated');
    expect(await one.finish(state('restore'))).toBe('');
    expect(await one.finish(state('restore'))).toBe('Cluster member is already restored');
  });

  it('removes a member with everything that is on it alone, its vote first', async () => {
    await accept();
    const runner = one.get(TransactionRunner);
    await runner.run(ctx, (tx) => {
      tx.sql.run("UPDATE nodes SET state = 'created', config = '{}' WHERE name = 'm2'");
      tx.sql.run(`INSERT INTO instances (id, node_id, project_id, name, type, architecture, creation_date, last_use_date, state)
        SELECT 9, id, 1, 'c1', 'container', 'x86_64', '', '', 'created' FROM nodes WHERE name = 'm2'`);
    });
    const { id } = rows().find(({ name }) => name === 'm2')!;

    expect(await one.send('DELETE', `${members}/m2`)).toMatchObject({ status: 500, error: 'Node still has the following containers: c1' });
    expect((await one.send('GET', `${members}/m2`)).metadata.status).toBe('Offline');
    await runner.run(ctx, (tx) => tx.sql.run('DELETE FROM instances'));
    expect(await one.send('DELETE', `${members}/m2`)).toMatchObject({ status: 503 });
    one.liveness.online.add(id);
    expect(await one.send('DELETE', `${members}/m2`)).toMatchObject({ status: 503 });
    expect((await one.send('GET', `${members}/m2`)).metadata.status).toBe('Blocked');
    await runner.run(ctx, (tx) => tx.sql.run(`INSERT INTO instances (id, node_id, project_id, name, type, architecture, creation_date, last_use_date, state)
      VALUES (9, ?, 1, 'c1', 'container', 'x86_64', '', '', 'created')`, id));
    expect(await one.send('DELETE', `${members}/m2?force=1`)).toMatchObject({ status: 200 });

    expect(one.released).toContain(id);
    expect(rows()).toHaveLength(1);
    expect(one.get(Database).read.all('SELECT 1 FROM instances')).toEqual([]);
    expect(one.get(Database).read.all("SELECT name FROM certificates WHERE type = 'server'")).toEqual([{ name: 'm1' }]);
    expect(await one.send('DELETE', `${members}/m1`)).toMatchObject({ status: 400 });
  });

  it('stands alone again when its row is gone', async () => {
    await one.get(TransactionRunner).run(ctx, (tx) => tx.sql.run("UPDATE nodes SET name = 'gone' WHERE id = 1"));
    await one.get(LocalMembership).leave(ctx);

    expect((await one.send('GET', '/1.0/cluster')).metadata).toMatchObject({ enabled: false });
    expect(one.events).toContainEqual(expect.objectContaining({ action: 'cluster-disabled', source: '/1.0/cluster/' }));
  });
});
