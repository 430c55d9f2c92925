import { describe, expect, it } from 'vitest';
import { etcdArguments, hostPort, isSameRun, mayVoteBeside, memberOfVoter, parseEtcdVersion, refusalOfVersion, splitHostPort, voterName, type EtcdNode } from './etcd-arguments.rules.js';
import { explainExit } from './etcd-exit.rules.js';

const node: EtcdNode = {
  name: 'member-2', incarnation: 'abc', dataDirectory: '/d', listenAddress: 'fd00::2', advertisedHost: 'two.example', peerPort: 8444, clientPort: 8445, initialState: 'existing',
  initialCluster: { 'member-1': 'https://127.31.0.1:8444', 'member-2': 'https://two.example:8444' }, files: { ca: '/ca.crt', certificate: '/voter.crt', key: '/voter.key' },
};

describe('arguments of etcd', () => {
  it('listen on addresses and advertise names', () => {
    const given = etcdArguments(node, '3.4.23');

    expect(given).toEqual(expect.arrayContaining([
      '--listen-peer-urls=https://[fd00::2]:8444', '--listen-client-urls=https://[fd00::2]:8445',
      '--initial-advertise-peer-urls=https://two.example:8444', '--advertise-client-urls=https://two.example:8445',
      '--initial-cluster=member-1=https://127.31.0.1:8444,member-2=https://two.example:8444', '--initial-cluster-token=abc',
    ]));
  });

  it('let nobody in without a certificate, client or peer', () => {
    expect(etcdArguments(node, '3.5.16')).toEqual(expect.arrayContaining(['--client-cert-auth=true', '--peer-client-cert-auth=true', '--trusted-ca-file=/ca.crt', '--peer-trusted-ca-file=/ca.crt']));
  });

  it('name the flag that was renamed as each version knows it', () => {
    expect(['3.4.23', '3.5.16', '3.6.1'].map((version) => etcdArguments(node, version).find((flag) => flag.includes('skip-client-san')))).toEqual([
      '--experimental-peer-skip-client-san-verification=true', '--experimental-peer-skip-client-san-verification=true', '--peer-skip-client-san-verification=true',
    ]);
  });
});

describe('an etcd that was found', () => {
  const run = (changed: Partial<EtcdNode>) => etcdArguments({ ...node, ...changed }, '3.4.23');

  it('runs as wanted when only what counts at its first start differs', () => {
    expect(isSameRun(run({ initialState: 'new', initialCluster: {} }), run({}))).toBe(true);
    expect(isSameRun(run({ peerPort: 9000 }), run({}))).toBe(false);
    expect(isSameRun(run({ incarnation: 'def' }), run({}))).toBe(false);
  });
});

describe('the version of etcd', () => {
  it('is read from what it prints', () => {
    expect(parseEtcdVersion('etcd Version: 3.4.23\nGit SHA: Not provided\n')).toBe('3.4.23');
    expect(parseEtcdVersion('command not found')).toBeNull();
  });

  it('is refused below the repaired ones and above the known', () => {
    expect(['3.4.23', '3.5.5', '3.6.0'].map(refusalOfVersion)).toEqual([null, null, null]);
    expect(refusalOfVersion('3.4.21')).toBe('etcd 3.4.21 is too old: 3.4.22 or later is needed');
    expect(refusalOfVersion('3.3.25')).toContain('is not supported');
    expect(refusalOfVersion('4.0.0')).toContain('is not supported');
  });

  it('may not be of an older series than that of the cluster', () => {
    expect([['3.5.1', '3.4.9'], ['3.4.30', '3.4.23'], ['3.4.30', '3.5.0']].map(([a, b]) => mayVoteBeside(a!, b!))).toEqual([true, true, false]);
  });
});

describe('names and addresses', () => {
  it('name a voter by its member’s number', () => {
    expect(memberOfVoter(voterName(12))).toBe(12);
    expect(memberOfVoter('default')).toBeNull();
  });

  it('are taken apart and put together', () => {
    expect(['127.0.0.1:8443', '[fd00::1]:8443', 'one.example', '[fd00::1]'].map(splitHostPort)).toEqual([
      { host: '127.0.0.1', port: 8443 }, { host: 'fd00::1', port: 8443 }, { host: 'one.example', port: 0 }, { host: 'fd00::1', port: 0 },
    ]);
    expect([hostPort('fd00::1', 1), hostPort('a', 2)]).toEqual(['[fd00::1]:1', 'a:2']);
  });
});

describe('the end of etcd', () => {
  const reasonOf = (tail: string, code: number | null = 1, signal: string | null = null) => explainExit({ code, signal, tail }).reason;

  it('is told apart by what it said last', () => {
    expect(reasonOf('{"level":"warn"}\npanic: tocommit(34) is out of range [lastIndex(12)]. Was the raft log corrupted, truncated, or lost?\n\ngoroutine 91', 2)).toBe('panic');
    expect(reasonOf('{"level":"fatal","msg":"failed to read WAL, cannot be repaired","error":"walpb: crc mismatch"}')).toBe('panic');
    expect(reasonOf('{"level":"warn","msg":"server error","error":"the member has been permanently removed from the cluster"}', 0)).toBe('removed');
    expect(reasonOf('{"level":"fatal","msg":"discovery failed","error":"listen tcp 127.0.0.1:1: bind: address already in use"}')).toBe('address-in-use');
    expect(reasonOf('panic: write d/member/wal: no space left on device', 2)).toBe('no-space');
    expect(reasonOf('', null, 'SIGKILL')).toBe('killed');
    expect(reasonOf('something else')).toBe('other');
  });

  it('is explained in its own words', () => {
    expect(explainExit({ code: 1, signal: null, tail: '{"level":"fatal","msg":"discovery failed","error":"bind: address already in use"}\n' }).message).toBe('exit code 1: discovery failed: bind: address already in use');
    expect(explainExit({ code: null, signal: 'SIGKILL', tail: '' }).message).toBe('killed by SIGKILL');
  });
});
