import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.js';
import { ClusterPair } from '../support/cluster-pair.js';
import { unmet } from '../support/needs.js';
import { same } from '../support/compare.js';
import { Pair } from '../support/pair.js';
import { Target } from '../support/target.js';

/** One raw request, compared by status and body; times, ids and secrets are masked by the comparison or cut out here. */
const query = (method: string, path: string, body?: object): string =>
  `curl -s -w '\\n%{http_code}\\n' --unix-socket "$LXD_DIR/unix.socket" -X ${method} ${body === undefined ? '' : `-d '${JSON.stringify(body)}'`} 'x${path}'`;

describe.skipIf(unmet('a server beside real LXD', Target.whyNotBoth()))('a server that is in no cluster', () => {
  let pair: Pair;
  beforeAll(async () => { pair = new Pair(); await pair.start(); });
  afterAll(async () => { await pair.destroy(); });

  it('refuses commands about clusters as LXD does', () => {
    for (const command of ['list', 'show x', 'add m2', 'list-tokens', 'enable m1', 'role add x database', 'remove x', 'rename x y', 'evacuate x --force', 'group list', 'group create g', 'revoke-token x']) {
      same(pair.roost, pair.lxd, `lxc cluster ${command} </dev/null`);
    }
    for (const [method, path, body] of [
      ['GET', '/1.0/cluster'], ['GET', '/1.0/cluster/members'], ['GET', '/1.0/cluster/groups'], ['PUT', '/1.0/cluster', { enabled: true }],
      ['PUT', '/1.0/cluster', { enabled: false, server_name: 'm1' }], ['PUT', '/1.0/cluster', { enabled: true, server_name: 'm1' }],
      ['PUT', '/1.0/cluster', { enabled: true, server_name: 'm1', cluster_address: '127.33.1.9:8443' }],
      ['POST', '/1.0/cluster/groups/default', { name: 'x' }], ['DELETE', '/1.0/cluster/groups/default'], ['POST', '/1.0/cluster/members/x/state', { action: 'evacuate' }],
      ['PATCH', '/1.0', { config: { 'cluster.max_voters': '4' } }], ['PATCH', '/1.0', { config: { 'cluster.max_standby': '6' } }],
      ['PATCH', '/1.0', { config: { 'cluster.images_minimal_replica': '0' } }], ['PATCH', '/1.0', { config: { 'cluster.offline_threshold': '10' } }],
      ['PATCH', '/1.0', { config: { 'cluster.join_token_expiry': '4x' } }],
    ] as const) same(pair.roost, pair.lxd, query(method, path, body));
  });
});

describe.skipIf(unmet('clusters beside real LXD', Cluster.whyNot()))('/1.0/cluster', () => {
  let pair: ClusterPair;
  beforeAll(async () => {
    pair = new ClusterPair({ members: 3 });
    await pair.form();
    await Promise.all(pair.both.map((cluster) => cluster.settled()));
  });
  afterAll(async () => { await pair.destroy(); });

  const body = { roles: ['database'], failure_domain: 'default', groups: ['default'], config: {} };

  it('shows members, itself and its keys', () => {
    for (const target of ['m1', 'm3', 'm9']) pair.same(`lxc query '/1.0?target=${target}' | jq -r .environment.server_name`, 2);
    for (const path of ['/1.0/cluster', '/1.0/cluster/members', '/1.0/cluster/members/nosuch', '/1.0/cluster/members/m2/state']) pair.same(query('GET', path), 2);
    pair.same('lxc cluster list --format yaml', 3);
    pair.same('lxc cluster show m3', 1);
    pair.same('lxc cluster enable m1', 2);
    pair.same('lxc config set cluster.https_address=10.0.0.1:8443', 1);
    pair.same('lxc config trust list -f csv | cut -d, -f1,2', 2);
  });

  it('changes members from anywhere, and refuses in the same words', () => {
    for (const change of [
      { description: 'alone' }, { ...body, groups: [] }, { ...body, groups: ['nosuch'] }, { ...body, failure_domain: '' }, { ...body, roles: ['database', 'foo'] },
      { ...body, config: { nosuch: 'x' } }, { ...body, config: { 'scheduler.instance': 'bad' } }, { ...body, failure_domain: 'az1', config: { 'user.x': '1' } },
    ]) pair.same(query('PUT', '/1.0/cluster/members/m3', change), 2);
    pair.same(query('PATCH', '/1.0/cluster/members/m3', { ...body, failure_domain: 'az2', config: { 'user.y': '2' } }), 1);
    pair.same('lxc cluster show m3', 2);
    pair.same(query('PUT', '/1.0/cluster/members/m3', body), 3);
    for (const command of [
      'role add m3 event-hub', 'role add m3 event-hub', 'role remove m3 event-hub', 'role remove m3 event-hub', 'role remove m3 database', 'set m3 user.a=b', 'get m3 user.a',
      'unset m3 user.a', 'set m3 foo=bar', 'show m3',
    ]) pair.same(`lxc cluster ${command}`, 1);
  });

  it('renames', () => {
    for (const command of ['rename m3 m9', 'list --format csv', 'rename m9 m3', 'rename m3 m1', 'rename nosuch x', 'rename nosuch m3']) pair.same(`lxc cluster ${command}`, 2);
  });

  it('keeps groups', () => {
    for (const command of [
      'create g1', 'create g1', 'list', 'assign m1 default,g1', 'assign m1 nosuch', 'show g1', 'rename g1 g2', 'rename default x', 'remove m1 g2', 'remove m1 g2', 'delete g2', 'delete g2',
      'delete default',
    ]) pair.same(`lxc cluster group ${command}`, 3);
    for (const [method, path, given] of [
      ['POST', '/1.0/cluster/groups', { name: 'g3', description: 'd', members: ['m1', 'm2'] }], ['POST', '/1.0/cluster/groups', { name: 'a/b' }], ['POST', '/1.0/cluster/groups', { name: 'a b' }],
      ['POST', '/1.0/cluster/groups', {}], ['GET', '/1.0/cluster/groups?recursion=1'], ['PATCH', '/1.0/cluster/groups/g3', { description: 'e' }], ['GET', '/1.0/cluster/groups/g3'],
      ['PUT', '/1.0/cluster/groups/g3', { members: ['nosuch'] }], ['PUT', '/1.0/cluster/groups/nosuch', {}], ['POST', '/1.0/cluster/groups/g3', { name: 'default' }],
      ['DELETE', '/1.0/cluster/groups/g3'], ['PUT', '/1.0/cluster/groups/g3', {}], ['DELETE', '/1.0/cluster/groups/g3'],
    ] as const) pair.same(query(method, path, given), 2);
  });

  it('issues, lists and takes back tokens', () => {
    pair.must('lxc cluster add m7', 1);
    pair.same("lxc cluster list-tokens --format csv | cut -d, -f1", 1);
    pair.same('lxc cluster revoke-token m7 && lxc cluster revoke-token m7', 1);
  });

  it('refuses those that may not join in the same words', async () => {
    for (const cluster of pair.both) await cluster.add();
    const env = (member: Target): NodeJS.ProcessEnv => ({ DAEMON: member.program });
    const preseed = (cluster: string): string => `printf 'cluster: {enabled: true, ${cluster}}' | "$DAEMON" init --preseed`;
    pair.same(preseed('server_address: "10.0.0.9:8443", cluster_token: abcd'), 4, { env });
    pair.same(preseed('server_name: m4, cluster_address: "127.0.0.77:8443", server_address: "127.0.0.78:8443", cluster_certificate: xx, cluster_password: y'), 4, { env });
    pair.same('lxc cluster list', 4);
  });

  it('is told by our command line in the same words', () => {
    const normalise = (text: string): string => text.replace(/^(Description|Usage):[\s\S]*/, '<help>');
    const ours = (line: string, index = 1): void => { pair.sameByClients(line, index, { normalise }); };
    for (const format of ['table', 'csv', 'json', 'yaml', 'compact']) ours(`lxc cluster list -f ${format}`, 2);
    for (const command of [
      'show m3', 'show nosuch', 'show', 'get m3 user.a', 'set m3 user.a=b', 'get m3 user.a', 'set m3 scheduler.instance bad', 'unset m3 user.a', 'role add m2 event-hub', 'role add m2 event-hub',
      'show m2 | grep -A4 roles', 'role remove m2 event-hub,database', 'role remove m2 event-hub', 'rename m3 m1', 'rename m3 m8', 'rename m8 m3', 'enable m1', 'foo',
      'group create g1 </dev/null', 'group create g1 </dev/null', 'group assign m2 default,g1', 'group assign m2 nosuch', 'group list', 'group list -f yaml', 'group show g1', 'group rename g1 g2',
      'group remove m2 g2', 'group remove m2 g2', 'group delete g2', 'group delete default', 'list-tokens', 'revoke-token nosuch', 'evacuate nosuch --force', 'restore m2 --force', 'remove nosuch',
    ]) ours(`lxc cluster ${command}`);
    ours("lxc cluster show m3 | sed 's/description: .*/description: ours/' | lxc cluster edit m3 && lxc cluster show m3 | grep description", 3);
    ours("lxc cluster show m3 | sed 's/description: .*/description: \"\"/' | lxc cluster edit m3", 3);
    ours("lxc cluster group show default | sed 's/description: .*/description: d/' | lxc cluster group edit default && lxc cluster group list -f csv", 2);
    ours('lxc cluster add m7 | head -1; lxc cluster list-tokens -f csv | cut -d, -f1; lxc cluster revoke-token m7; lxc cluster list-tokens -f csv', 2);
    for (const answer of ['no', '', 'maybe']) ours(`echo ${answer} | lxc cluster evacuate m2`);
    ours('echo yes | lxc cluster evacuate m2; lxc cluster list -f csv; echo yes | lxc cluster restore m2');
    ours('echo no | lxc cluster remove m3 --force');
    ours('lxc init bb o1 --target m3; lxc init bb o2 --target m9; lxc init bb o2 --target @nosuch; lxc list -f csv -c nsL; lxc move o1 --target m2 -q; lxc copy o1 o2 --target m1 -q; lxc list', 2);
    ours('lxc storage create op dir; lxc storage create op dir --target m1; lxc storage list -f csv; lxc storage show op --target m1; lxc storage delete op', 3);
    ours('lxc storage volume create default ov --target m3; lxc storage volume list default -f csv -c ntL; lxc storage volume list default; lxc storage volume delete default ov --target m3', 1);
    ours('lxc delete o1 o2; lxc list -f csv', 3);
  });

  it('hands events on through hubs', () => {
    const modes = 'lxc query /1.0 | jq -r .environment.server_event_mode';
    const through = (index: number): void => { pair.same(modes, index); };
    pair.must('lxc cluster role add m1 event-hub');
    for (const index of [1, 2, 3]) through(index);
    pair.must('lxc cluster role add m2 event-hub');
    pair.must('sleep 2');
    for (const index of [1, 2, 3]) through(index);
    pair.must('lxc cluster role remove m1 event-hub && lxc cluster role remove m2 event-hub && sleep 2');
    for (const index of [1, 2, 3]) through(index);
  });

  it('evacuates and restores', () => {
    for (const command of ['evacuate m2 --force', 'list --format csv', 'evacuate m2 --force', 'restore m2 --force', 'restore m2 --force']) pair.same(`lxc cluster ${command}`, 3);
    pair.same(query('POST', '/1.0/cluster/members/m2/state', { action: 'foo' }), 1);
  });

  it('removes a member that is empty, and it stands alone again', () => {
    pair.must('lxc init bb c3 --target m3', 1);
    pair.same('lxc cluster remove m3', 1);
    pair.must('lxc delete c3', 3);
    pair.must('for i in $(lxc image list -f csv -c f); do lxc image delete $i; done', 1);
    pair.same('lxc cluster remove m3', 2);
    pair.same('lxc cluster list --format csv | cut -d, -f1', 1);
    pair.same('sleep 2; lxc cluster list', 3);
    pair.same('lxc storage list -f csv; lxc profile list -f csv', 3);
    expect(pair.roost.member(1).run('lxc cluster remove m9').code).not.toBe(0);
  });
});
