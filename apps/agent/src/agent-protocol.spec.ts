import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { conflict, internal, SilentLogger } from '#kernel';
import { RemoteExecSessions, RemoteHostInfo, RemoteImageStore, RemoteInstanceCheckpoints, RemoteInstanceDriver, RemoteInstanceFiles, RemoteInstanceLogs, RemoteNetworkDriver, RemoteServerDirectories, RemoteStorageDriver, RemoteVolumeArchives, RemoteVolumeMigration, RemoteVolumeSnapshots, RemoteVolumeTransfer } from '#platform/agent-client';
import { AgentChannel, AgentServer } from '#platform/rpc';
import { hostService } from './services/host.service.js';
import { instanceService } from './services/instance.service.js';
import { networkService } from './services/network.service.js';
import { storageService } from './services/storage.service.js';

const pool = { name: 'p', driver: 'btrfs', config: { source: '/x', size: '5GiB' } };
const volume = { pool, kind: 'container' as const, name: 'web_c1' };
const network = { name: 'br0', type: 'bridge', config: { 'ipv4.address': '10.0.0.1/24' } };
const lease = { project: 'web', instance: 'c1', device: 'eth0', hwaddr: '00:16:3e:00:00:01', ipv4Address: '10.0.0.9', ipv6Address: '' };
const idmap = { isUid: true, isGid: false, hostId: 1000000, nsId: 0, range: 1_000_000_000 };
const spec = {
  id: 7, project: 'web', name: 'c1', projectName: 'web_c1', type: 'container' as const, architecture: 'x86_64', ephemeral: true,
  config: { 'limits.cpu': '2' }, devices: [{ name: 'root', config: { type: 'disk', path: '/' }, restrictedParent: '/srv' }],
  nics: [{ device: 'eth0', parent: 'br0', network: 'br0', networkConfig: { 'bridge.mtu': '1400' } }], volumes: [{ device: 'data', volume: { ...volume, kind: 'custom' as const, block: true }, mapped: true }], rootVolume: volume, idmap: [idmap], placementEpoch: 3,
};
const counters = {
  bytesReceived: 1, bytesSent: 2, packetsReceived: 3, packetsSent: 4, errorsReceived: 5, errorsSent: 6, packetsDroppedInbound: 7, packetsDroppedOutbound: 8,
};
const networkInterface = {
  name: 'eth0', type: 'broadcast', state: 'up', hwaddr: '00:16:3e:00:00:01', mtu: 1500, hostName: 'veth1', counters, kind: 'bridge',
  addresses: [{ family: 'inet', address: '10.0.0.9', netmask: '24', scope: 'global' }],
  bridge: { id: '8000.1', stp: true, forwardDelay: 1500, vlanDefault: 1, vlanFiltering: true, upperDevices: ['veth1'] },
  bond: { mode: 'active-backup', transmitPolicy: 'layer2', upDelay: 1, downDelay: 2, miiFrequency: 3, miiState: 'up', lowerDevices: ['eth9'] },
  vlan: { lowerDevice: 'eth9', vid: 7 },
};
const usage = {
  projectName: 'web_c1', power: 'Running', pid: 42, processes: 3, cpuUsageNs: 5_000_000_000_000, cpuTimes: [{ cpu: 3, userNs: 1, systemNs: 2 }], effectiveCpus: 2,
  memoryUsageBytes: 10_000_000_000, memoryUsagePeakBytes: 11, memoryTotalBytes: 12, swapUsageBytes: 13, swapUsagePeakBytes: 14,
  memoryStat: { cache: 15 }, oomKills: 16, interfaces: [networkInterface], disks: [{ device: 'root', usedBytes: -1, totalBytes: 17 }],
  io: [{ device: 'vda', readBytes: 1, writtenBytes: 2, reads: 3, writes: 4 }],
};
const exec = {
  projectName: 'web_c1', ends: 'output', command: ['sh', '-c', 'true'], environment: { A: 'b' }, user: 1000, group: 1001, cwd: '/root', interactive: true,
  width: 80, height: 25, endpointUid: 33, endpointGid: 34,
};
const console = { projectName: 'web_c1', width: 80, height: 25, endpointUid: 33, endpointGid: 34 };
const execStarted = { sessionId: 's1', stdinPath: '/0', stdoutPath: '/1', stderrPath: '/2', terminalPath: '/t', gatePath: '/g' };
const hostDescription = {
  hostname: 'h', kernel: 'Linux', kernelVersion: '6.1', kernelArchitecture: 'x86_64', osName: 'Debian', osVersion: '12', architectures: ['x86_64', 'i686'],
  kernelFeatures: { netnsid_getifaddrs: 'true' }, lxcFeatures: { cgroup2: 'true' }, lxcVersion: '5.0.2', firewall: 'nftables', idmap: [idmap],
  cpuCount: 2, memoryBytes: 25_000_000_000, idmappedMounts: true,
};

/** Port methods with sample arguments and the answer the host gives; everything has to arrive on the other side as it was sent. */
const calls: Record<string, readonly (readonly [string, unknown[], unknown])[]> = {
  storage: [
    ['capabilities', [], [{ driver: 'dir', version: '1', remote: false, quota: true, optimizedImages: true, freezeToCopy: true, ownBackups: true }]], ['createPool', [pool], pool],
    ['destroyPool', [pool], undefined], ['ensurePoolMounted', [pool], undefined], ['unmountPool', [pool], undefined],
    ['updatePool', [pool, { size: '6GiB' }], undefined], ['describePool', [pool], { usedBytes: 1, totalBytes: 2, usedInodes: 3, totalInodes: 4 }],
    ['createVolume', [{ volume, imageFingerprint: 'abc', sizeBytes: 5 }], undefined], ['destroyVolume', [volume], undefined],
    ['renameVolume', [volume, 'new'], undefined], ['resizeVolume', [volume, 9], undefined], ['describeVolume', [volume], { usedBytes: -1, totalBytes: 6 }],
    ['listVolumes', [pool, 'image'], [volume]],
  ],
  snapshots: [
    ['createSnapshot', [volume, 's0'], undefined], ['destroySnapshot', [volume, 's0'], undefined], ['renameSnapshot', [volume, 's0', 's1'], undefined],
    ['listSnapshots', [volume], ['s0']], ['measureSnapshots', [volume, ['s0', 's1']], [-1, 4096]], ['restoreSnapshot', [volume, 's0', 'abc', true], undefined], ['undoRestore', [volume, 'abc'], undefined],
    ['finishRestore', [volume, 'abc'], undefined],
    ['copyVolume', [{ source: volume, sourceSnapshot: 's0', target: { ...volume, name: 'c2' }, snapshots: ['a', 'b'], sizeBytes: 5 }], undefined],
    ['refreshVolume', [{ source: volume, sourceSnapshot: 's0', target: { ...volume, name: 'c2' }, snapshots: ['a', 'b'], sizeBytes: 5 }, 'abc'], undefined],
  ],
  transfers: [
    ['transferFormats', [pool], ['btrfs', 'tar']], ['identifySnapshots', [volume], [{ snapshot: 's0', ids: ['a', 'b'] }, { snapshot: 's1', ids: [] }]], ['waitTransfer', ['t1', new AbortController().signal], undefined],
    ['sendVolume', [{ volume, snapshots: ['a', 'b'], format: 'btrfs', endpointUid: 33, endpointGid: 34, sourceSnapshot: 's0', parents: { a: 's9', '': 'b' } }], { sessionId: 't1', path: '/bytes' }],
    ['receiveVolume', [{ volume, snapshots: ['a'], format: 'tar', endpointUid: 33, endpointGid: 34, sizeBytes: 5, refreshToken: 'abc' }], { sessionId: 't2', path: '/bytes' }],
  ],
  migrations: [
    ['migrationFormats', [volume], ['block']],
    ['sendPieces', [{ volume, snapshots: ['a', 'b'], sourceSnapshot: 's0', endpointUid: 33, endpointGid: 34 }], 'm1'],
    ['receivePieces', [{ volume, snapshots: ['a'], sizeBytes: 5, refreshToken: 'abc', shifted: [{ snapshot: 'a', idmap: [idmap] }], endpointUid: 33, endpointGid: 34 }], 'm2'],
    ['waitPieces', ['m1', new AbortController().signal], undefined], ['waitPiece', ['m1'], undefined], ['endPieces', ['m1'], undefined],
    ['openPiece', ['m1', { snapshot: 'a', format: 'rsync', xattrs: true, delete: true, compress: false, bandwidth: '5M', inconsistent: true, exact: true }], { input: '/i', output: '/o' }],
  ],
  archives: [
    ['packBackup', [{ volume, snapshots: ['a', 'b'], optimized: true, index: 'name: c1', compression: 'gzip -9', endpointUid: 33, endpointGid: 34 }], { sessionId: 't1', path: '/bytes' }],
    ['packImage', [{ volume, snapshot: 's0', metadata: 'a: b', modifiedAt: 5, idmap: [idmap], compression: 'none', endpointUid: 33, endpointGid: 34 }], { sessionId: 't2', path: '/bytes' }],
    ['inspectBackup', ['/b'], { index: 'name: c1' }],
    ['unpackBackup', [{ path: '/b', volume, snapshots: ['a'], optimized: true, sizeBytes: 5, shifted: [{ snapshot: 'a', idmap: [idmap] }] }, new AbortController().signal], undefined],
    ['unshiftVolume', [{ volume, snapshots: ['a', 'b'], idmap: [idmap] }], undefined],
    ['readVolumeFile', [volume, 's0', 'metadata.yaml'], 'a: b'], ['writeVolumeFile', [volume, 'backup.yaml', 'c: d'], undefined],
  ],
  directories: [['isEmptyVolume', [volume], true], ['placeDirectory', ['backups', volume], undefined]],
  images: [
    ['inspectImage', ['/m', '/r'], { metadataYaml: 'a: b', type: 'container' }], ['adoptImage', ['abc', '/m', '/r'], undefined],
    ['removeImage', ['abc'], undefined], ['listImages', [], ['abc']],
  ],
  network: [
    ['ensureNetwork', [network], undefined], ['reconcileNetworks', [[network]], ['br0']], ['removeNetwork', [network], undefined],
    ['stopNetwork', [network], undefined], ['renameNetwork', [network, 'br1'], undefined], ['setStaticLease', ['br0', lease], undefined],
    ['listLeases', [network], [{ hostname: 'c1', hwaddr: 'aa', address: '10.0.0.9', type: 'static' }]],
    ['describeInterfaces', ['eth0'], [networkInterface, { ...networkInterface, bridge: null, bond: null, vlan: null }]], ['listUsedSubnets', [], ['10.0.0.0/24']],
  ],
  instance: [
    ['createInstance', [spec], undefined], ['startInstance', [spec, { restoreState: true }], { pid: 42, volatile: { 'volatile.eth0.host_name': 'veth1' } }],
    ['stopInstance', [{ projectName: 'c1', clean: true, timeoutMs: 5 }], undefined], ['freezeInstance', ['c1'], undefined], ['unfreezeInstance', ['c1'], undefined],
    ['updateInstance', [spec, { ...spec, ephemeral: false }], { volatile: { a: '' } }], ['renameInstance', [spec, { ...spec, name: 'c2' }], undefined],
    ['destroyInstance', ['c1'], undefined], ['describeStatus', [['c1']], [{ projectName: 'c1', power: 'Frozen', pid: 1, startedAt: 'x' }]],
    ['describeUsage', [[{ projectName: 'web_c1', rootVolume: volume, rootDevice: 'root' }]], [usage]],
  ],
  exec: [
    ['startExec', [exec], execStarted], ['startConsole', [console], execStarted],
    ['resizeExec', ['s1', 100, 30], undefined], ['signalExec', ['s1', 15], undefined],
  ],
  files: [['openFiles', [{ spec, view: 'volume', endpointUid: 33, endpointGid: 34 }], { path: '/files' }]],
  checkpoints: [['isAvailable', [], true], ['writeState', [{ projectName: 'c1', stop: true }], undefined], ['discardState', [volume], undefined]],
  logs: [['deleteLog', ['c1', 'lxc.log'], undefined], ['clearConsoleLog', ['c1'], undefined], ['readConsoleLog', ['c1'], Buffer.from([0, 255, 10])]],
  host: [['describeHost', [], hostDescription], ['describeResources', [], { cpu: { total: 2 } }], ['loadKernelModules', [['dummy']], undefined]],
};

/** A host that remembers what it was asked and answers from the table. */
function recorder(table: readonly (readonly [string, unknown[], unknown])[]): { asked: Map<string, unknown[]>; port: never } {
  const asked = new Map<string, unknown[]>();
  const answers = new Map(table.map(([method, , answer]) => [method, answer]));
  const port = new Proxy({}, {
    get: (_target, method: string) => async (...argv: unknown[]) => {
      asked.set(method, argv);
      return answers.get(method);
    },
  });
  return { asked, port: port as never };
}

const directory = mkdtempSync(join(tmpdir(), 'roost-protocol-'));
const socket = join(directory, 'agent.sock');
const hosts = Object.fromEntries(Object.entries(calls).map(([name, table]) => [name, recorder(table)]));
const server = new AgentServer(new SilentLogger());
const channel = new AgentChannel(socket);
const remotes: Record<string, object> = {
  storage: new RemoteStorageDriver(channel), snapshots: new RemoteVolumeSnapshots(channel), transfers: new RemoteVolumeTransfer(channel), migrations: new RemoteVolumeMigration(channel), archives: new RemoteVolumeArchives(channel), directories: new RemoteServerDirectories(channel), images: new RemoteImageStore(channel), network: new RemoteNetworkDriver(channel),
  instance: new RemoteInstanceDriver(channel), exec: new RemoteExecSessions(channel), logs: new RemoteInstanceLogs(channel), checkpoints: new RemoteInstanceCheckpoints(channel), files: new RemoteInstanceFiles(channel), host: new RemoteHostInfo(channel),
};

beforeAll(async () => {
  const port = (name: string): never => hosts[name]!.port;
  server.addService('Storage', storageService({ storage: port('storage'), snapshots: port('snapshots'), transfers: port('transfers'), migrations: port('migrations'), archives: port('archives'), directories: port('directories'), images: port('images') }));
  server.addService('Network', networkService(port('network')));
  server.addService('Instance', instanceService({ instances: port('instance'), exec: port('exec'), logs: port('logs'), files: port('files'), checkpoints: port('checkpoints') }));
  server.addService('Host', hostService(port('host'), { pid: 1, protocol: 1, build: 'b', stateId: 's', mountNamespace: 2, networkNamespace: 3 }, () => undefined));
  await server.listen(socket, 0o600);
});
afterAll(async () => {
  channel.close();
  await server.close(100);
  rmSync(directory, { recursive: true, force: true });
});

for (const [name, table] of Object.entries(calls)) {
  describe(`the ${name} port over the wire`, () => {
    for (const [method, argv, answer] of table) {
      it(`carries ${method} both ways without loss`, async () => {
        const remote = remotes[name] as Record<string, (...argv: unknown[]) => Promise<unknown>>;

        const reply = await remote[method]!(...argv);

        expect(hosts[name]!.asked.get(method)).toMatchObject(argv);
        if (answer instanceof Buffer) expect(Buffer.from(reply as Uint8Array).equals(answer)).toBe(true);
        else expect(reply).toEqual(answer);
      });
    }

    it('has every method of the port tested', () => {
      const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(remotes[name])).filter((method) => !['constructor', 'call', 'watchInstances', 'waitExec'].includes(method));
      expect(table.map(([method]) => method).sort()).toEqual(methods.sort());
    });
  });
}

describe('a command over the wire', () => {
  const path = join(directory, 'exec.sock');
  const signal = new AbortController().signal;
  let agent: AgentServer;
  let caller: AgentChannel;

  async function answer(startExec: () => Promise<object>, waitExec: (sessionId: string, signal: AbortSignal) => Promise<number>): Promise<RemoteExecSessions> {
    agent = new AgentServer(new SilentLogger());
    agent.addService('Instance', instanceService({ exec: { startExec, waitExec } } as never));
    await agent.listen(path, 0o600);
    caller = new AgentChannel(path);
    return new RemoteExecSessions(caller);
  }

  afterEach(async () => {
    caller.close();
    await agent.close(0);
  });

  it('is started and waited for in one call, also when it ends before anybody waits', async () => {
    const asked: string[] = [];
    const sessions = await answer(async () => execStarted, async (sessionId) => { asked.push(sessionId); return 7; });

    const { sessionId } = await sessions.startExec(exec as never);
    await new Promise((resolve) => setTimeout(resolve, 30));

    expect(await sessions.waitExec(sessionId, signal)).toBe(7);
    expect(asked).toEqual(['s1']);
  });

  it('says why it did not start, and why nobody knows its end', async () => {
    const sessions = await answer(async () => { throw conflict('Instance is not running'); }, async () => 0);
    await expect(sessions.startExec(exec as never)).rejects.toMatchObject({ kind: 'conflict', message: 'Instance is not running' });
    await agent.close(0);
    caller.close();

    const failing = await answer(async () => execStarted, async () => { throw internal('Cannot enter the container'); });
    const { sessionId } = await failing.startExec(exec as never);
    await expect(failing.waitExec(sessionId, signal)).rejects.toMatchObject({ kind: 'internal', message: 'Cannot enter the container' });
  });

  it('is asked for again after the agent was lost', async () => {
    const sessions = await answer(async () => execStarted, () => new Promise(() => undefined));
    const { sessionId } = await sessions.startExec(exec as never);
    const waiting = expect(sessions.waitExec(sessionId, signal)).rejects.toMatchObject({ kind: 'unavailable' });
    await agent.close(0);
    await waiting;
    const before = caller;
    await answer(async () => execStarted, async () => 9);

    expect(await sessions.waitExec(sessionId, signal)).toBe(9);
    before.close();
  });

  it('is let go by who waits no longer', async () => {
    let letGo = false;
    const sessions = await answer(async () => execStarted, (_id, abandoned) => new Promise(() => { abandoned.addEventListener('abort', () => { letGo = true; }); }));
    const { sessionId } = await sessions.startExec(exec as never);
    const abort = new AbortController();
    const waiting = expect(sessions.waitExec(sessionId, abort.signal)).rejects.toMatchObject({ kind: 'unavailable' });
    abort.abort();
    await waiting;

    await vi.waitFor(() => expect(letGo).toBe(true));
  });
});

it('keeps kind, message and details of an error', async () => {
  const failing = new AgentServer(new SilentLogger());
  failing.addService('Network', { unary: { ensureNetwork: () => Promise.reject(conflict('Link “br0” gehört jemandem', { details: { link: 'br0' } })) } });
  await failing.listen(`${socket}2`, 0o600);
  const other = new AgentChannel(`${socket}2`);

  await expect(new RemoteNetworkDriver(other).ensureNetwork(network)).rejects.toMatchObject({ kind: 'conflict', message: 'Link “br0” gehört jemandem', details: { link: 'br0' } });

  other.close();
  await failing.close(100);
});

it('waits for an agent that is being started', async () => {
  const path = join(directory, 'late.sock');
  const late = new AgentServer(new SilentLogger());
  late.addService('Network', { unary: { listUsedSubnets: async () => ({ subnets: ['10.1.0.0/24'] }) } });
  const early = new AgentChannel(path);

  const answer = new RemoteNetworkDriver(early).listUsedSubnets();
  await new Promise((resolve) => setTimeout(resolve, 120));
  await late.listen(path, 0o600);

  await expect(answer).resolves.toEqual(['10.1.0.0/24']);
  early.close();
  await late.close(100);
});

it('asks the next agent again what may be asked twice, and nothing else', async () => {
  const path = join(directory, 'dying.sock');
  const dying = new AgentServer(new SilentLogger());
  const asked: string[] = [];
  const never = (name: string) => (): Promise<object> => { asked.push(name); return new Promise(() => undefined); };
  dying.addService('Instance', { unary: { describeStatus: never('describeStatus'), startInstance: never('startInstance') } });
  await dying.listen(path, 0o600);
  const surviving = new AgentChannel(path);
  const driver = new RemoteInstanceDriver(surviving);

  const [question, start] = [driver.describeStatus([]), driver.startInstance(spec)];
  const refused = expect(start).rejects.toMatchObject({ kind: 'unavailable' });
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  await dying.close(0);
  const next = new AgentServer(new SilentLogger());
  next.addService('Instance', { unary: { describeStatus: async () => ({ instances: [] }), startInstance: never('startInstance again') } });
  await next.listen(path, 0o600);

  await expect(question).resolves.toEqual([]);
  await refused;
  expect(asked).not.toContain('startInstance again');
  surviving.close();
  await next.close(0);
});

it('says unavailable when nobody answers', async () => {
  const nobody = new AgentChannel(join(directory, 'nobody.sock'), 100);
  await expect(new RemoteHostInfo(nobody).describeHost()).rejects.toMatchObject({ kind: 'unavailable' });
  nobody.close();
});
