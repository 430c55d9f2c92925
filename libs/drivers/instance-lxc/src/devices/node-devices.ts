import { statSync } from 'node:fs';
import { internal, isTrue, messageOf, type Logger } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import { deviceNumber, type DeviceNode, type DeviceNodes } from './device-nodes.js';
import { DeviceHandler, type DeviceHost, type DeviceParts } from './device-handler.js';
import { gpuNodes } from './gpu-nodes.js';
import { isRequired, unixNode, unixPaths, type HostNode } from './unix-nodes.rules.js';
import { hotplugNodes, usbNodes } from './usb-nodes.js';

const prefix = 'unix';

/** Where the kernel shows devices; elsewhere in tests. */
export interface DeviceRoots {
  readonly sysfs: string;
  readonly dev: string;
  readonly proc: string;
}

export const hostDeviceRoots: DeviceRoots = { sysfs: '/sys', dev: '/dev', proc: '/proc' };

/**
 * Devices that are nodes: `unix-char`, `unix-block`, `usb`, `unix-hotplug` and physical GPUs. Those that may come and go on the host follow it: what
 * should be there is read from the host, what is there from `devices/NAME`, and `follow` levels the difference.
 */
export class NodeDevices extends DeviceHandler {
  override readonly types = ['unix-char', 'unix-block', 'usb', 'unix-hotplug', 'gpu'];

  constructor(private readonly nodes: DeviceNodes, private readonly roots: DeviceRoots, private readonly logger: Logger) { super(); }

  override async prepare(spec: InstanceSpec, device: DeviceSpec): Promise<DeviceParts> {
    return this.nodes.prepare(spec, prefix, device.name, this.wanted(device));
  }

  override async add(host: DeviceHost, device: DeviceSpec): Promise<void> {
    for (const node of this.wanted(device)) await this.nodes.plug(host, prefix, device.name, node);
  }

  override async remove(host: DeviceHost, device: DeviceSpec): Promise<void> {
    await this.nodes.unplug(host, prefix, device.name);
  }

  override adopt(host: DeviceHost, device: DeviceSpec): Promise<void> {
    return follows(device) ? this.follow(host, device) : Promise.resolve();
  }

  override async forget(projectName: string): Promise<void> {
    this.nodes.forget(projectName, prefix);
  }

  /** Brings the nodes of a running container in line with the host. What cannot be done is logged: the next change tries again. */
  async follow(host: DeviceHost, device: DeviceSpec): Promise<void> {
    const wanted = new Map(this.candidates(device).map((node) => [this.nodes.fileOf(prefix, device.name, node), node]));
    const present = new Set(this.nodes.present(host.spec.projectName, prefix, device.name));
    try {
      await this.nodes.unplug(host, prefix, device.name, (file) => !wanted.has(file));
      for (const [file, node] of wanted) if (!present.has(file)) await this.nodes.plug(host, prefix, device.name, node);
    } catch (error) {
      this.logger.error('Failed following a device of the host', { instance: host.spec.projectName, device: device.name, error: messageOf(error) });
    }
  }

  private wanted(device: DeviceSpec): DeviceNode[] {
    const nodes = this.candidates(device);
    const { type } = device.config;
    if (nodes.length === 0 && isTrue(device.config['required'])) {
      if (type === 'usb') throw internal('Required USB device not found');
      if (type === 'unix-hotplug') throw internal('Required Unix Hotplug device not found');
    }
    return nodes;
  }

  private candidates(device: DeviceSpec): DeviceNode[] {
    const { sysfs } = this.roots;
    switch (device.config['type']) {
      case 'usb': return usbNodes(device, sysfs);
      case 'unix-hotplug': return hotplugNodes(device, sysfs);
      case 'gpu': return gpuNodes(device, this.roots);
      default: return [unixNode(device, lookAt)].filter((node) => node !== null);
    }
  }
}

/** Whether a device may appear and vanish while a container runs. */
export function follows({ config }: DeviceSpec): boolean {
  const type = config['type'];
  if (type === 'usb' || type === 'unix-hotplug') return true;
  return (type === 'unix-char' || type === 'unix-block') && !isRequired(config) && !((config['major'] ?? '') !== '' && (config['minor'] ?? '') !== '');
}

/** The path whose coming and going matters; null where the kernel's events tell. */
export function followedPath({ config }: DeviceSpec): string | null {
  return config['type'] === 'unix-char' || config['type'] === 'unix-block' ? unixPaths(config).source : null;
}

function lookAt(path: string): HostNode {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return null;
  if (!status.isCharacterDevice() && !status.isBlockDevice()) return { kind: 'other', major: 0, minor: 0 };
  const { rdev, kind } = deviceNumber(path);
  return { kind, ...rdev };
}
