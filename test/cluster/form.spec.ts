import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/member.js';
import { unmet } from '../support/needs.js';
import { must } from '../support/pair.js';
import type { TargetKind } from '../support/target.js';

const top = resolve(import.meta.dirname, '../..');
const kind = (process.env['TARGET'] ?? 'roost') as TargetKind;

describe('docker-compose.yml', () => {
  it('starts members by deploy/member, which the shell can read, with the variables it knows', () => {
    const script = readFileSync(join(top, 'deploy/member'), 'utf8');
    const { services } = parse(readFileSync(join(top, 'docker-compose.yml'), 'utf8'), { merge: true }) as { services: Record<string, { command: string[]; environment: Record<string, string> }> };

    expect(spawnSync('sh', ['-n', join(top, 'deploy/member')]).status).toBe(0);
    expect(Object.keys(services)).toEqual(['m1', 'm2', 'm3']);
    for (const { command, environment } of Object.values(services)) {
      expect(command[0]).toBe('/src/deploy/member');
      for (const name of Object.keys(environment)) expect(script).toContain(`#   ${name} `);
    }
  });
});

describe.skipIf(unmet('clusters', Cluster.whyNot()))('a cluster', () => {
  let cluster: Cluster | undefined;
  afterEach(async () => { await cluster?.destroy(); });

  it('of five forms, and every member serves what lies on every other', async () => {
    cluster = new Cluster({ kind, members: 5, mode: 'namespaces' });
    await cluster.form();
    cluster.importImage();
    await cluster.settled();

    const everyone = cluster.members.map((member) => member.name);
    for (const member of cluster.members) must(member, `lxc init bb on-${member.name} --target ${everyone[(member.index + 1) % 5]}`);
    const lists = cluster.members.map((member) => must(member, 'lxc list -f csv -c nL'));

    expect(new Set(lists).size).toBe(1);
    expect(lists[0]!.trim().split('\n')).toHaveLength(5);
    expect(must(cluster.member(4), 'lxc cluster list -f csv').match(/ONLINE/g)).toHaveLength(5);
  });

  it('is made by the entry point of docker-compose.yml alone, and its second start changes nothing', async () => {
    cluster = new Cluster({ kind, members: 0, mode: 'namespaces' });
    await cluster.open();
    const tokens = join(cluster.root, 'tokens');
    mkdirSync(tokens);
    await cluster.addAll(3, (member) => ({ MEMBER_NAME: member.name, MEMBER_ADDRESS: member.url, MEMBER_CLUSTER: 'm1 m2 m3', MEMBER_TOKENS: tokens }));
    const online = (): string => cluster!.member(3).run('lxc cluster list -f csv').stdout.replace(/,[^,]*\n/g, '\n');
    await eventually(online, (text) => text.match(/ONLINE/g)?.length === 3, 60_000);

    must(cluster.member(2), 'lxc storage show default --target m3');
    await cluster.member(2).stop();
    await cluster.member(2).start();
    await cluster.settled();

    expect(must(cluster.member(2), 'lxc cluster list -f csv').match(/ONLINE/g)).toHaveLength(3);
  });
});
