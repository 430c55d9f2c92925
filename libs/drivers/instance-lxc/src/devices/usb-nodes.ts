import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DeviceSpec } from '#ports';
import type { DeviceNode } from './device-nodes.js';
import { ownership } from './unix-nodes.rules.js';

type Config = Readonly<Record<string, string>>;

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return ''; // Devices come and go while we look.
  }
}

function list(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

/** Selectors that are not set fit all. Ids are four hex digits in either case. */
function matches(config: Config, vendor: string, product: string): boolean {
  const fits = (option: string, value: string): boolean => (config[option] ?? '') === '' || config[option]!.toLowerCase() === value.toLowerCase();
  return fits('vendorid', vendor) && fits('productid', product);
}

function numbers(dev: string): { major: number; minor: number } | null {
  const [, major, minor] = /^(\d+):(\d+)$/.exec(dev) ?? [];
  return major === undefined ? null : { major: Number(major), minor: Number(minor) };
}

/** USB devices of the host that a `usb` device selects: `/dev/bus/usb/BUS/DEVICE`. */
export function usbNodes({ config }: DeviceSpec, sysfs = '/sys'): DeviceNode[] {
  const devices = `${sysfs}/bus/usb/devices`;
  return list(devices).flatMap((name): DeviceNode[] => {
    const at = `${devices}/${name}`;
    const [vendor, product] = [text(`${at}/idVendor`), text(`${at}/idProduct`)];
    const dev = numbers(text(`${at}/dev`));
    if (vendor === '' || dev === null || !matches(config, vendor, product)) return [];
    const [bus, device] = [text(`${at}/busnum`), text(`${at}/devnum`)].map((number) => number.padStart(3, '0'));
    return [{ kind: 'c', ...dev, path: `/dev/bus/usb/${bus}/${device}`, ...ownership(config) }];
  });
}

/** Nodes that drivers made for USB devices which a `unix-hotplug` device selects (`/dev/ttyUSB0`, `/dev/sdb`): all but the USB devices themselves. */
export function hotplugNodes({ config }: DeviceSpec, sysfs = '/sys'): DeviceNode[] {
  return (['char', 'block'] as const).flatMap((kind) => list(`${sysfs}/dev/${kind}`).flatMap((dev): DeviceNode[] => {
    const at = numbers(dev);
    const path = realPath(`${sysfs}/dev/${kind}/${dev}`);
    if (at === null || path === null || existsSync(`${path}/idVendor`)) return [];
    const owner = usbAncestor(path, sysfs);
    const name = /^DEVNAME=(.+)$/m.exec(text(`${path}/uevent`))?.[1];
    if (owner === null || name === undefined || !matches(config, text(`${owner}/idVendor`), text(`${owner}/idProduct`))) return [];
    return [{ kind: kind === 'char' ? 'c' : 'b', ...at, path: `/dev/${name}`, ...ownership(config) }];
  }));
}

/** The USB device that a device belongs to, by the directories above it. */
function usbAncestor(path: string, sysfs: string): string | null {
  for (let at = dirname(path); at.length > sysfs.length; at = dirname(at)) if (existsSync(`${at}/idVendor`) && existsSync(`${at}/busnum`)) return at;
  return null;
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
