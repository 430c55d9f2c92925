import type { RoostHelper } from '#host';
import { internal, isFalse } from '#kernel';
import type { DeviceSpec, InstanceSpec, VolatileChange } from '#ports';
import type { ContainerLimits } from './container-limits.js';
import { deviceChanges, type ContainerDevices } from './devices/container-devices.js';
import { deviceStartError } from './devices/device-handler.js';
import { additionalDisks, type DiskMounts } from './disk-devices.js';
import type { DiskLimits } from './disk-limits.js';
import { hostId } from './idmap.rules.js';
import { isInterface, planNics, type NicPlan } from './nic-devices.rules.js';
import type { NicHost } from './nics/nic-host.js';
import type { RunningContainer } from './running-containers.js';

type Undo = () => Promise<void> | void;

/** Applies a changed specification to a running container: limits, disks and network interfaces. */
export class ContainerUpdate {
  constructor(
    private readonly limits: ContainerLimits,
    private readonly disks: DiskMounts,
    private readonly diskLimits: DiskLimits,
    private readonly devices: ContainerDevices,
    private readonly helper: RoostHelper,
    private readonly nicHost: NicHost,
    /** What containers see as /dev/lxd. */
    private readonly guestDirectory: string,
  ) {}

  /**
   * All or nothing: on a failure what was changed is changed back and the error is thrown. Returns the new host names of veths by
   * device, and what of it is `volatile.*`.
   */
  async apply(container: RunningContainer, before: InstanceSpec, after: InstanceSpec): Promise<VolatileChange & { hostNames: Record<string, string> }> {
    const undos: Undo[] = [];
    try {
      this.limits.change(container.record.cgroups, before.config, after.config);
      undos.push(() => this.limits.change(container.record.cgroups, after.config, before.config));
      await this.changeDisks(container, before, after, undos);
      this.changeDiskLimits(container, before, after, undos);
      await this.changeGuestApi(container, before, after, undos);
      const nics = await this.changeNics(container, before, after, undos);
      await this.devices.change({ ...container.record, spec: before, hostNames: nics.hostNames }, after, undos);
      return nics;
    } catch (error) {
      for (const undo of undos.reverse()) await undo();
      throw error;
    }
  }

  private async changeDisks(container: RunningContainer, before: InstanceSpec, after: InstanceSpec, undos: Undo[]): Promise<void> {
    const { removed, added } = deviceChanges(additionalDisks(before).map(withoutLimits), additionalDisks(after).map(withoutLimits));
    for (const device of removed) {
      await this.removeDisk(container, before, device);
      undos.push(() => this.addDisk(container, before, device));
    }
    for (const device of added) {
      await this.addDisk(container, after, device).catch((error: unknown) => { throw deviceStartError(device.name, error); });
      undos.push(() => this.removeDisk(container, after, device));
    }
  }

  private changeDiskLimits(container: RunningContainer, before: InstanceSpec, after: InstanceSpec, undos: Undo[]): void {
    const [old, wanted] = [this.diskLimits.settings(before), this.diskLimits.settings(after, before.devices)];
    undos.push(() => this.limits.changeDisks(container.record.cgroups, wanted, old));
    this.limits.changeDisks(container.record.cgroups, old, wanted);
  }

  private async addDisk(container: RunningContainer, spec: InstanceSpec, device: DeviceSpec): Promise<void> {
    const plan = await this.disks.attach(spec, device);
    if (plan === null) return;
    try {
      await this.helper.mountInside({
        pid: container.record.init.pid, source: plan.mountedAt, target: plan.target, recursive: plan.recursive, readonly: plan.readonly,
        idmapped: plan.shifted && spec.idmap.length > 0, propagation: propagationOf(plan.propagation),
        uid: hostId(spec.idmap, 0, 'uid') ?? 0, gid: hostId(spec.idmap, 0, 'gid') ?? 0,
      });
    } catch (error) {
      this.disks.detach(spec.projectName, device.name, plan.target);
      throw error;
    }
  }

  private async removeDisk(container: RunningContainer, spec: InstanceSpec, { name, config }: DeviceSpec): Promise<void> {
    const target = config['path'] ?? '';
    await this.helper.unmountInside(container.record.init.pid, target);
    this.disks.detach(spec.projectName, name, target);
  }

  private async changeGuestApi({ record }: RunningContainer, before: InstanceSpec, after: InstanceSpec, undos: Undo[]): Promise<void> {
    const show = (visible: boolean): Promise<void> => visible
      ? this.helper.mountInside({
        pid: record.init.pid, source: this.guestDirectory, target: '/dev/lxd', recursive: false, readonly: true, idmapped: false, propagation: 'private',
        uid: hostId(after.idmap, 0, 'uid') ?? 0, gid: hostId(after.idmap, 0, 'gid') ?? 0,
      })
      : this.helper.unmountInside(record.init.pid, '/dev/lxd');
    const [was, is] = [before, after].map(({ config }) => !isFalse(config['security.devlxd'])) as [boolean, boolean];
    if (was === is) return;
    await show(is);
    undos.push(() => show(was));
  }

  private async changeNics(container: RunningContainer, before: InstanceSpec, after: InstanceSpec, undos: Undo[]): Promise<VolatileChange & { hostNames: Record<string, string> }> {
    const hostNames: Record<string, string> = { ...container.record.hostNames };
    const { pid } = container.record.init;
    const volatile: Record<string, string> = {};
    const nics = (spec: InstanceSpec): DeviceSpec[] => spec.devices.filter(isInterface).map((device) => withoutAddresses(device, spec));
    const { removed, added } = deviceChanges(nics(before), nics(after));
    const old = planNics(before, new Map(Object.entries(hostNames))).nics;
    for (const { name } of removed) {
      const nic = old.find(({ device }) => device === name);
      if (nic === undefined) continue;
      await this.nicHost.remove(before, pid, { ...nic, hostName: hostNames[name] ?? nic.hostName });
      undos.push(async () => { await this.plugNic(before, pid, nic); });
      delete hostNames[name];
      for (const key of Object.keys(before.config)) if (key.startsWith(`volatile.${name}.last_state.`)) volatile[key] = '';
      volatile[`volatile.${name}.host_name`] = '';
    }
    const planned = added.length === 0 ? { nics: [], volatile: {} } : planNics(after, new Map(Object.entries(hostNames)));
    for (const { name } of added) {
      const nic = planned.nics.find(({ device }) => device === name);
      if (nic === undefined) continue;
      Object.assign(volatile, await this.plugNic(after, pid, nic));
      undos.push(() => this.nicHost.remove(after, pid, nic));
      if (nic.hostName !== '') hostNames[name] = nic.hostName;
      for (const [key, value] of Object.entries(planned.volatile)) if (key.startsWith(`volatile.${name}.`)) volatile[key] = value;
    }
    const former = { spec: before, hostNames: container.record.hostNames };
    undos.push(() => this.nicHost.apply(before, former.hostNames, { spec: after, hostNames }));
    await this.nicHost.apply(after, hostNames, former);
    return { hostNames, volatile };
  }

  private async plugNic(spec: InstanceSpec, pid: number, nic: NicPlan): Promise<Record<string, string>> {
    if (nic.kind === 'ipvlan') throw internal(`Failed to add device "${nic.device}": Device cannot be added when instance is running`);
    this.nicHost.check(spec, [nic]);
    const chosen = (await this.nicHost.choose(spec, [nic]))[0]!;
    try {
      const volatile = await this.nicHost.lend(spec, [chosen]);
      await this.nicHost.add(pid, chosen);
      return volatile;
    } catch (error) {
      await this.nicHost.release(spec.projectName, nic.device);
      throw deviceStartError(nic.device, error);
    }
  }
}

/** Limits change without the disk being taken away. */
function withoutLimits({ config, ...device }: DeviceSpec): DeviceSpec {
  return { ...device, config: Object.fromEntries(Object.entries(config).filter(([key]) => !key.startsWith('limits.'))) };
}

/** Reservations, filters and rates of a NIC are applied elsewhere: they do not replace the interface. */
function withoutAddresses({ name, config }: DeviceSpec, spec: InstanceSpec): DeviceSpec {
  const kept = Object.entries(config).filter(([key]) => !/^(ipv[46]\.|limits\.|security\.|boot\.priority)/.test(key));
  return { name, config: { ...Object.fromEntries(kept), parent: spec.nics.find(({ device }) => device === name)?.parent ?? config['parent'] ?? '' } };
}

function propagationOf(text: string): 'private' | 'shared' | 'slave' | 'unbindable' {
  const kind = text.replace(/^r/, '');
  return kind === 'shared' || kind === 'slave' || kind === 'unbindable' ? kind : 'private';
}
