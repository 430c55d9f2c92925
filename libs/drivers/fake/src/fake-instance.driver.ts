import { conflict, Deadline, notFound, unavailable } from '#kernel';
import {
  InstanceCheckpoints, InstanceDriver, InstanceLogs,
  type CheckpointRequest, type InstanceEvent, type InstanceSpec, type InstanceStatus, type InstanceUsage, type PowerState, type StartInstanceOptions, type StartResult, type StopRequest,
  type UsageRequest, type VolatileChange, type VolumeSpec,
} from '#ports';
import { FakeFaults } from './fake-faults.js';

/** What the fake host knows of one instance. */
export interface FakeInstance {
  spec: InstanceSpec;
  power: PowerState;
  pid: number;
  startedAt: string;
  /** Ignores a clean stop, like a program without a handler as init. */
  deafToStop: boolean;
  /** It went on from a state that was written. */
  restored?: boolean;
}

/**
 * Instances of a host kept in memory. Survives "restarts" of the daemon when a test hands the same object to the next one. Instances
 * start at once; `stopFromInside` and `rebootFromInside` are what the guest does by itself.
 */
export class FakeInstanceDriver extends InstanceDriver {
  readonly instances = new Map<string, FakeInstance>();
  private readonly watchers = new Set<(event: InstanceEvent) => void>();
  private nextPid = 1000;
  private nextVeth = 1;

  constructor(private readonly faults: FakeFaults = new FakeFaults()) {
    super();
  }

  override async createInstance(spec: InstanceSpec): Promise<void> {
    await this.faults.enter('instance.createInstance');
    const known = this.instances.get(spec.projectName);
    if (known && known.spec.id !== spec.id) throw conflict(`Instance "${spec.projectName}" is known to the host under another id`);
    if (!known) this.instances.set(spec.projectName, { spec, power: 'Stopped', pid: 0, startedAt: '', deafToStop: false });
  }

  override async startInstance(spec: InstanceSpec, { restoreState = false }: StartInstanceOptions = {}): Promise<StartResult> {
    await this.faults.enter('instance.startInstance');
    const instance = this.get(spec.projectName);
    if (instance.power !== 'Stopped') throw conflict('The instance is already running');
    instance.spec = spec;
    instance.power = 'Running';
    instance.restored = restoreState;
    instance.pid = this.nextPid++;
    instance.startedAt = new Date().toISOString();
    this.announce(spec.projectName, 'started', instance.pid);
    return { pid: instance.pid, volatile: this.startVolatile(spec) };
  }

  override async stopInstance(request: StopRequest): Promise<void> {
    await this.faults.enter('instance.stopInstance');
    const instance = this.get(request.projectName);
    if (instance.power === 'Stopped') return;
    if (request.clean && (instance.deafToStop || instance.power === 'Frozen')) await this.waitForEnd(instance, request.timeoutMs);
    else this.halt(instance, 'stopped');
  }

  override async freezeInstance(projectName: string): Promise<void> {
    await this.faults.enter('instance.freezeInstance');
    this.running(projectName).power = 'Frozen';
  }

  override async unfreezeInstance(projectName: string): Promise<void> {
    await this.faults.enter('instance.unfreezeInstance');
    this.running(projectName).power = 'Running';
  }

  override async updateInstance(before: InstanceSpec, after: InstanceSpec): Promise<VolatileChange> {
    await this.faults.enter('instance.updateInstance');
    const instance = this.get(after.projectName);
    instance.spec = after;
    const volatile: Record<string, string> = {};
    if (instance.power === 'Stopped') return { volatile };
    const nics = (spec: InstanceSpec): string[] => spec.devices.filter((d) => d.config.type === 'nic').map((d) => d.name);
    for (const name of nics(before)) if (!nics(after).includes(name)) volatile[`volatile.${name}.host_name`] = '';
    for (const name of nics(after)) if (!nics(before).includes(name)) volatile[`volatile.${name}.host_name`] = this.vethName();
    return { volatile };
  }

  override async renameInstance(before: InstanceSpec, after: InstanceSpec): Promise<void> {
    await this.faults.enter('instance.renameInstance');
    const instance = this.instances.get(before.projectName);
    if (!instance) {
      if (!this.instances.has(after.projectName)) throw notFound(`Instance "${before.projectName}" is not known to the host`);
      return;
    }
    if (instance.power !== 'Stopped') throw conflict('Renaming of running container not allowed');
    instance.spec = after;
    this.instances.delete(before.projectName);
    this.instances.set(after.projectName, instance);
  }

  override async destroyInstance(projectName: string): Promise<void> {
    await this.faults.enter('instance.destroyInstance');
    const instance = this.instances.get(projectName);
    if (instance && instance.power !== 'Stopped') throw conflict('Instance is running');
    this.instances.delete(projectName);
  }

  override async describeStatus(projectNames: readonly string[]): Promise<InstanceStatus[]> {
    await this.faults.enter('instance.describeStatus');
    const names = projectNames.length === 0 ? [...this.instances.keys()] : projectNames;
    return names.map((projectName) => {
      const instance = this.instances.get(projectName);
      return { projectName, power: instance?.power ?? 'Stopped', pid: instance?.pid ?? 0, startedAt: instance?.startedAt ?? '' };
    });
  }

  override async describeUsage(requests: readonly UsageRequest[]): Promise<InstanceUsage[]> {
    await this.faults.enter('instance.describeUsage');
    return requests.map((request) => this.usage(request));
  }

  override async *watchInstances(signal: AbortSignal): AsyncIterable<InstanceEvent> {
    const queue: InstanceEvent[] = [];
    let wake: () => void = () => {};
    const push = (event: InstanceEvent): void => {
      queue.push(event);
      wake();
    };
    this.watchers.add(push);
    signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next) yield next;
        else await new Promise<void>((resolve) => { wake = resolve; });
      }
    } finally {
      this.watchers.delete(push);
    }
  }

  /** The guest powered itself off. */
  stopFromInside(projectName: string): void {
    this.halt(this.running(projectName), 'stopped');
  }

  /** The guest asked for a reboot; its init is gone and the daemon is expected to start it again. */
  rebootFromInside(projectName: string): void {
    this.halt(this.running(projectName), 'rebooting');
  }

  /** What a crash of the whole host leaves: nothing runs, everything is still known. */
  powerLoss(): void {
    for (const instance of this.instances.values()) Object.assign(instance, { power: 'Stopped', pid: 0, startedAt: '' });
  }

  private startVolatile(spec: InstanceSpec): Record<string, string> {
    const map = JSON.stringify(spec.idmap.map((e) => ({ Isuid: e.isUid, Isgid: e.isGid, Hostid: e.hostId, Nsid: e.nsId, Maprange: e.range })));
    const volatile: Record<string, string> = { 'volatile.idmap.current': map, 'volatile.last_state.idmap': '[]', 'volatile.apply_template': '' };
    for (const nic of spec.devices.filter((d) => d.config.type === 'nic')) volatile[`volatile.${nic.name}.host_name`] = this.vethName();
    return volatile;
  }

  private vethName(): string {
    return `veth${(this.nextVeth++).toString(16).padStart(8, '0')}`;
  }

  private usage({ projectName, rootDevice }: UsageRequest): InstanceUsage {
    const instance = this.instances.get(projectName);
    const runs = instance !== undefined && instance.power !== 'Stopped';
    const counters = {
      bytesReceived: 0, bytesSent: 0, packetsReceived: 0, packetsSent: 0, errorsReceived: 0, errorsSent: 0,
      packetsDroppedInbound: 0, packetsDroppedOutbound: 0,
    };
    const lo = {
      name: 'lo', type: 'loopback', state: 'up', hwaddr: '', mtu: 65536, hostName: '', kind: 'loopback', bridge: null, counters,
      addresses: [{ family: 'inet', address: '127.0.0.1', netmask: '8', scope: 'local' }],
    };
    return {
      projectName, power: instance?.power ?? 'Stopped', pid: instance?.pid ?? 0, processes: runs ? 1 : 0, cpuUsageNs: runs ? 7_000_000 : 0,
      cpuTimes: runs ? [{ cpu: 0, userNs: 3_000_000, systemNs: 4_000_000 }] : [], effectiveCpus: 2,
      memoryUsageBytes: runs ? 688_128 : 0, memoryUsagePeakBytes: runs ? 1_355_776 : 0, memoryTotalBytes: 2 ** 30,
      swapUsageBytes: 0, swapUsagePeakBytes: 0, memoryStat: runs ? { anon: 57_344, file: 4096 } : {}, oomKills: 0,
      interfaces: runs ? [lo] : [], disks: [{ device: rootDevice, usedBytes: 16_384, totalBytes: 0 }], io: [],
    };
  }

  private get(projectName: string): FakeInstance {
    const instance = this.instances.get(projectName);
    if (!instance) throw notFound(`Instance "${projectName}" is not known to the host`);
    return instance;
  }

  private running(projectName: string): FakeInstance {
    const instance = this.get(projectName);
    if (instance.power === 'Stopped') throw conflict("The container isn't running");
    return instance;
  }

  private halt(instance: FakeInstance, event: 'stopped' | 'rebooting'): void {
    const pid = instance.pid;
    Object.assign(instance, { power: 'Stopped', pid: 0, startedAt: '' });
    this.announce(instance.spec.projectName, event, pid);
  }

  private async waitForEnd(instance: FakeInstance, timeoutMs: number): Promise<void> {
    const deadline = new Deadline(timeoutMs > 0 ? timeoutMs : Infinity);
    while (instance.power !== 'Stopped') {
      if (deadline.passed) throw unavailable('shutting down the container failed');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  private announce(projectName: string, event: InstanceEvent['event'], pid: number): void {
    for (const push of this.watchers) push({ projectName, event, pid });
  }
}

/** States of instances, by the volume they would lie in. CRIU is not there until a test says so. */
export class FakeInstanceCheckpoints extends InstanceCheckpoints {
  available = false;
  readonly written = new Set<string>();

  constructor(private readonly instances: FakeInstanceDriver, private readonly faults: FakeFaults = new FakeFaults()) {
    super();
  }

  override async isAvailable(): Promise<boolean> {
    await this.faults.enter('checkpoints.isAvailable');
    return this.available;
  }

  override async writeState({ projectName, stop }: CheckpointRequest): Promise<void> {
    await this.faults.enter('checkpoints.writeState');
    this.written.add(this.instances.instances.get(projectName)!.spec.rootVolume.name);
    if (stop) this.instances.stopFromInside(projectName);
  }

  override async discardState({ name }: VolumeSpec): Promise<void> {
    await this.faults.enter('checkpoints.discardState');
    this.written.delete(name);
  }
}

/** Logs in memory. */
export class FakeInstanceLogs extends InstanceLogs {
  readonly consoles = new Map<string, string>();
  readonly deleted: string[] = [];

  constructor(private readonly faults: FakeFaults = new FakeFaults()) {
    super();
  }

  override async deleteLog(projectName: string, file: string): Promise<void> {
    await this.faults.enter('logs.deleteLog');
    this.deleted.push(`${projectName}/${file}`);
  }

  override async clearConsoleLog(projectName: string): Promise<void> {
    await this.faults.enter('logs.clearConsoleLog');
    this.consoles.delete(projectName);
  }

  override async readConsoleLog(projectName: string): Promise<Uint8Array> {
    await this.faults.enter('logs.readConsoleLog');
    return new TextEncoder().encode(this.consoles.get(projectName) ?? '');
  }
}
