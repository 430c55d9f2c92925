import { statSync } from 'node:fs';
import { internal } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import type { InfinibandLinks } from '../nics/infiniband-links.js';
import type { NicHost } from '../nics/nic-host.js';
import { DeviceHandler, type DeviceHost, type DeviceParts } from './device-handler.js';
import type { DeviceNode, DeviceNodes } from './device-nodes.js';
import { ownership } from './unix-nodes.rules.js';

const prefix = 'infiniband.unix';

/** The nodes of `infiniband` devices. Their links are lent as those of NICs are (`NicHost`), before; a link of a function was chosen then. */
export class InfinibandDevices extends DeviceHandler {
  override readonly types = ['infiniband'];

  constructor(private readonly nodes: DeviceNodes, private readonly links: InfinibandLinks, private readonly nicHost: Pick<NicHost, 'lentName'>, private readonly dev = '/dev') { super(); }

  override async prepare(spec: InstanceSpec, device: DeviceSpec): Promise<DeviceParts> {
    return this.nodes.prepare(spec, prefix, device.name, this.nodesOf(spec, device));
  }

  override async add(host: DeviceHost, device: DeviceSpec): Promise<void> {
    for (const node of this.nodesOf(host.spec, device)) await this.nodes.plug(host, prefix, device.name, node);
  }

  override async remove(host: DeviceHost, device: DeviceSpec): Promise<void> {
    await this.nodes.unplug(host, prefix, device.name);
  }

  /** Nodes and link stay with a container that runs. */
  override async adopt(): Promise<void> {}

  override async forget(projectName: string): Promise<void> {
    this.nodes.forget(projectName, prefix);
  }

  private nodesOf({ projectName }: InstanceSpec, { name, config }: DeviceSpec): DeviceNode[] {
    const link = this.nicHost.lentName(projectName, name) ?? config['parent'] ?? '';
    // Open to as many inside as on the host: programs of users talk to the card.
    return this.links.nodes(link).map(({ name: node, major, minor }) => ({ ...ownership({}), kind: 'c', major, minor, path: `/dev/infiniband/${node}`, mode: this.modeOf(node) }));
  }

  private modeOf(node: string): number {
    const status = statSync(`${this.dev}/infiniband/${node}`, { throwIfNoEntry: false });
    if (status === undefined) throw internal(`Failed to get device attributes for /dev/infiniband/${node}: no such file or directory`);
    return status.mode & 0o777;
  }
}
