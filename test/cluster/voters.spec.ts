import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger } from '#kernel';
import { EtcdSupervisor } from '../../apps/daemon/src/supervise/etcd-supervisor.js';
import { findEtcd } from '../../apps/daemon/src/supervise/etcd-processes.js';
import { until, VoterCluster, type VoterMember } from '../support/voter-members.js';

describe('the voters of a cluster', () => {
  let cluster: VoterCluster;
  let block = 10;
  beforeEach(() => {
    cluster = new VoterCluster(block++);
  });
  afterEach(() => cluster.close());

  async function three(): Promise<VoterMember[]> {
    await cluster.bootstrap();
    await cluster.join();
    await cluster.join();
    await until(async () => (await cluster.voters()) === 'member-1 member-2 member-3' && cluster.parts() === 'voter voter voter', 'three voters');
    return cluster.members;
  }

  // What was on its way to a leader that died is lost: asked again soon.
  const put = (member: VoterMember, value: string) => member.client!.put({ key: Buffer.from('k'), value: Buffer.from(value) }, { timeoutMs: 500 });
  const data = (member: VoterMember) => member.voter.dataDirectory(cluster.incarnation);

  it('are one of two members and three of three, each learning first', async () => {
    await cluster.bootstrap();
    await cluster.join();
    await until(() => cluster.parts() === 'voter standby', 'a standby');
    const ofTwo = await cluster.voters();
    const third = await cluster.join();
    await until(() => cluster.parts() === 'voter voter voter', 'three voters');

    expect(ofTwo).toBe('member-1');
    expect(await cluster.voters()).toBe('member-1 member-2 member-3');
    await until(() => third.liveness.leaderId() === 1 && [1, 2, 3].every((id) => third.liveness.isOnline(id)), 'everybody sees everybody');
    await put(third, 'v');
  });

  it('go back to one when two of three members leave, the first to lead among them', async () => {
    const [first, second, third] = await three();
    await second!.manager.retire(1);
    cluster.forget(1);
    await until(async () => (await cluster.voters(second)).split(' ').length === 1, 'one voter');
    const last = await cluster.voters(second);
    await until(() => put(third!, 'after').then(() => true), 'a write');

    expect(['member-2', 'member-3']).toContain(last);
    await until(() => !existsSync(data(first!)), 'the data of the voter that left is gone');
  });

  it('hand over their part when the only one of two members leaves', async () => {
    const first = await cluster.bootstrap();
    const second = await cluster.join();
    await until(() => cluster.parts() === 'voter standby', 'a standby');
    await put(first, 'kept');
    await first.manager.retire(1);
    cluster.forget(1);

    expect(await cluster.voters(second)).toBe('member-2');
    expect((await second.client!.range({ key: Buffer.from('k') })).kvs[0]?.value.toString()).toBe('kept');
  });

  it('are not harmed by a learner that never starts, which is taken out again (A5)', async () => {
    const first = await cluster.bootstrap();
    const second = await cluster.join();
    // What is to start there never answers: not etcd, but something that sleeps.
    writeFileSync(join(second.directory, 'program'), '#!/bin/sh\n[ "$1" = --version ] && exec /usr/bin/etcd --version\nexec sleep 1000\n', { mode: 0o755 });
    second.useProgram(join(second.directory, 'program'));
    await cluster.join();
    await until(async () => (await cluster.voters()).includes('unstarted?'), 'a learner');
    const started = Date.now();
    let slowest = 0;
    while ((await cluster.voters()).includes('unstarted?') && Date.now() - started < 60_000) {
      const asked = Date.now();
      await put(first, 'v');
      slowest = Math.max(slowest, Date.now() - asked);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }

    expect(slowest).toBeLessThan(1000);
    expect(Date.now() - started).toBeGreaterThan(25_000);
    expect(Date.now() - started).toBeLessThan(40_000);
    expect(await cluster.voters()).not.toContain('unstarted');
    await until(() => put(first, 'after').then(() => true), 'a write');
  });

  it('replace one that stays away by a standby, and take it as a standby when it is back', async () => {
    const [first, , third] = await three();
    await cluster.join();
    await until(() => cluster.parts() === 'voter voter voter standby', 'a standby');
    await third!.powerOff();
    await until(async () => (await cluster.voters(first)) === 'member-1 member-2 member-4', 'the standby votes', 40_000);
    await third!.powerOn();

    await until(() => cluster.parts() === 'voter voter standby voter', 'the other stands by', 40_000);
    await until(() => !third!.voter.hasData(cluster.incarnation), 'what it had voted with is gone');
    await put(third!, 'v');
  });

  it('move out of a failure domain that turns out to be crowded, while everybody writes', async () => {
    const [first] = await three();
    await cluster.join();
    await until(() => cluster.parts() === 'voter voter voter standby', 'a standby');
    cluster.place('a', 'a', 'a', 'b');
    const moved = async (): Promise<boolean> => /^member-1 member-[23] member-4$/.test(await cluster.voters(first));
    await until(async () => {
      await put(first!, 'v');
      return moved();
    }, 'the fourth votes', 40_000);

    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(await moved()).toBe(true);
    expect(cluster.parts()).toMatch(/^voter (voter standby|standby voter) voter$/);
  });

  it('keep one that is away as long as none can take its place', async () => {
    const [first, , third] = await three();
    await third!.powerOff();
    await until(() => !first!.liveness.isOnline(3), 'it counts as offline', 20_000);
    await new Promise((resolve) => setTimeout(resolve, 6_000));

    expect(await cluster.voters()).toBe('member-1 member-2 member-3');
    await put(first!, 'v');
  });

  it('lead without an election when the leader stops cleanly', async () => {
    const [first, second] = await three();
    const started = Date.now();
    await first!.manager.handOver();
    await put(second!, 'v');

    expect((await second!.status()).leader).not.toBe((await first!.status()).header.memberId);
    expect(Date.now() - started).toBeLessThan(600);
  });

  it('elect another within two seconds when the leader is killed', async () => {
    const [first, second] = await three();
    const started = Date.now();
    await first!.powerOff();
    await until(() => put(second!, 'v').then(() => true), 'a write');

    expect(Date.now() - started).toBeLessThan(2000);
    await until(() => second!.liveness.leaderId() !== null && second!.liveness.leaderId() !== 1, 'the new leader is known');
  });

  it('are found running by the next daemon when the last one was killed', async () => {
    const [, second] = await three();
    const pid = second!.voter.pid;
    await second!.dieAndComeBack();

    expect(second!.voter.pid).toBe(pid);
    expect(findEtcd(data(second!)).map((found) => found.pid)).toEqual([pid]);
    await until(() => second!.status().then(({ leader }) => leader !== '0'), 'it takes part');
    process.kill(pid!, 'SIGKILL');
    await until(() => second!.voter.pid !== undefined && second!.voter.pid !== pid, 'the end of one that was found is noticed');
  });

  it('are ended and started anew when they were started otherwise', async () => {
    const first = await cluster.bootstrap();
    const { pid } = first.voter;
    const other = await new EtcdSupervisor(new SilentLogger()).start({
      arguments: [...first.voter.running!.files.ca.split('none'), '--name=x'], environment: {}, dataDirectory: data(first), logFile: join(first.directory, 'other.log'),
    });
    await other.exited;

    expect(() => process.kill(pid!, 0)).toThrow();
  });

  it('begin anew when their data is of the past (A6)', async () => {
    const [first, , third] = await three();
    await third!.shutDown();
    cpSync(data(third!), join(third!.directory, 'backup'), { recursive: true });
    await third!.powerOn();
    await until(() => third!.status().then(({ leader }) => leader !== '0'), 'it is back');
    await put(first!, 'later');
    await until(async () => (await first!.client!.range({ key: Buffer.from(`${cluster.incarnation}/boots/3`) })).kvs[0]?.value.toString() === '2', 'the second start is known');
    await third!.shutDown();
    rmSync(data(third!), { recursive: true });
    cpSync(join(third!.directory, 'backup'), data(third!), { recursive: true });
    const idBefore = cluster.roster.rows.get(3)!.raft!.id;
    await third!.powerOn();
    await until(async () => (await cluster.voters()) === 'member-1 member-2 member-3' && cluster.roster.rows.get(3)!.raft?.id !== idBefore && cluster.parts() === 'voter voter voter', 'it votes again, as another');

    expect(third!.told).toEqual(['damaged: its data is of start 1, the cluster has seen start 2']);
    expect(readdirSync(join(data(third!), '..'))).toContain(`${cluster.incarnation}.damaged`);
    expect((await third!.client!.range({ key: Buffer.from('k') })).kvs[0]?.value.toString()).toBe('later');
  });

  it('begin anew when etcd panics twice on its data (A6)', async () => {
    const [first, , third] = await three();
    for (let i = 0; i < 20; i++) await put(first!, `before ${i}`);
    // A disk put back below a daemon that goes on: etcd has agreed to more than it finds.
    const { pid } = third!.voter;
    process.kill(pid!, 'SIGSTOP');
    const wal = join(data(third!), 'member', 'wal');
    for (const name of readdirSync(wal)) writeFileSync(join(wal, name), readFileSync(join(wal, name)).fill(0x55, 4096, 8192));
    process.kill(pid!, 'SIGKILL');
    const idBefore = cluster.roster.rows.get(3)!.raft!.id;
    await until(async () => (await cluster.voters()) === 'member-1 member-2 member-3' && cluster.roster.rows.get(3)!.raft?.id !== idBefore && cluster.parts() === 'voter voter voter', 'it votes again, as another');

    expect(third!.told.filter((text) => text.startsWith('damaged'))).toHaveLength(1);
    await until(() => put(first!, 'after').then(() => true), 'a write');
  });

  it('tell who went away, for as long as the threshold after its lease', async () => {
    const [first, , third] = await three();
    const gone = Date.now();
    await third!.powerOff();
    await until(() => !first!.liveness.isOnline(3), 'it counts as offline', 20_000);
    const noticedMs = Date.now() - gone;
    const seen = first!.liveness.lastSeenMs(3)!;
    await third!.powerOn();
    await until(() => first!.liveness.isOnline(3), 'it is back');

    // Threshold 4 s; a lease lasts 5 s from its last renewal, which is at most 2 s ago.
    expect(noticedMs).toBeGreaterThan(2_500);
    expect(noticedMs).toBeLessThan(9_000);
    expect(Math.abs(seen - gone)).toBeLessThan(2_500);
  });

  it('still sees a member whose earlier put of its key is carried out late, with a lease that ends', async () => {
    const [first, second] = await three();
    const key = Buffer.from(`${cluster.incarnation}/alive/1`);
    await until(() => second!.liveness.isOnline(1), 'the first is seen');
    const { id } = await second!.client!.grantLease(2);
    await second!.client!.put({ key, value: Buffer.from('late'), lease: id });

    const held = async (): Promise<string> => (await second!.client!.range({ key })).kvs[0]?.value.toString() ?? 'gone';
    await until(async () => (await held()).includes('"member":1'), 'its own key is back');
    expect(first!.liveness.isOnline(2)).toBe(true);
  });

  it('still sees everybody when etcd is full and takes no writes (C2)', async () => {
    cluster.quotaBytes = 16 * 1024 * 1024;
    const [first, second] = await three();
    let refusal: unknown;
    for (let i = 0; i < 40 && refusal === undefined; i++) await first!.client!.put({ key: Buffer.from(`big/${i}`), value: Buffer.alloc(1024 * 1024, i) }).catch((error: unknown) => { refusal = error; });
    await until(async () => (await first!.client!.alarms()).length > 0, 'the alarm');
    await new Promise((resolve) => setTimeout(resolve, 12_000));

    expect(String(refusal)).toContain('database space exceeded');
    await expect(put(second!, 'v')).rejects.toThrow('database space exceeded');
    expect([1, 2, 3].map((id) => second!.liveness.isOnline(id))).toEqual([true, true, true]);
    expect(cluster.parts()).toBe('voter voter voter');
  });
});

describe('certificates of etcd (C5)', () => {
  const directory = '/tmp/voters-c5';
  const pids: number[] = [];
  afterEach(() => {
    for (const pid of pids.splice(0)) try { process.kill(pid, 'SIGKILL'); } catch { /* ended */ }
    rmSync(directory, { recursive: true, force: true });
  });

  it('shaped like LXD’s, one for all, are refused by the second peer', async () => {
    mkdirSync(directory, { recursive: true });
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${directory}/k`, '-out', `${directory}/c`, '-days', '10', '-subj', '/CN=m1', '-addext', 'subjectAltName=IP:127.31.60.1', '-addext', 'extendedKeyUsage=serverAuth'], { stdio: 'ignore' });
    const supervisor = new EtcdSupervisor(new SilentLogger());
    const start = async (n: number) => {
      const url = (port: number) => `https://127.31.60.${n}:${port}`;
      const run = await supervisor.start({
        environment: {}, dataDirectory: `${directory}/d${n}`, logFile: `${directory}/log${n}`,
        arguments: [`--name=n${n}`, `--data-dir=${directory}/d${n}`, `--listen-peer-urls=${url(8444)}`, `--initial-advertise-peer-urls=${url(8444)}`, `--listen-client-urls=${url(8445)}`, `--advertise-client-urls=${url(8445)}`,
          '--initial-cluster=n1=https://127.31.60.1:8444,n2=https://127.31.60.2:8444', `--trusted-ca-file=${directory}/c`, `--cert-file=${directory}/c`, `--key-file=${directory}/k`, `--peer-trusted-ca-file=${directory}/c`, `--peer-cert-file=${directory}/c`, `--peer-key-file=${directory}/k`, '--peer-client-cert-auth=true', '--logger=zap', '--log-outputs=stderr'],
      });
      pids.push(run.pid);
    };
    await start(1);
    await start(2);
    const said = () => [1, 2].map((n) => readFileSync(`${directory}/log${n}`, 'utf8')).join('\n');
    await until(() => /valid for 127\.31\.60\.1, not 127\.31\.60\.2|incompatible key usage/.test(said()), 'a refusal');

    expect(said()).not.toContain('published local member to cluster');
  });
});
