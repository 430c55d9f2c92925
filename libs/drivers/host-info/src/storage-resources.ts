import { readDeviceFacts } from './device-facts.js';
import type { DeviceNames } from './device-names.js';
import { present, type Sysfs } from './sysfs.js';

const sectorBytes = 512;

/** Disks with a device behind them; loop files, RAM and volumes of other layers are none. The total counts partitions too. */
export async function readStorage(sys: Sysfs, names: DeviceNames): Promise<Record<string, unknown>> {
  const disks: Record<string, unknown>[] = [];
  let partitions = 0;
  for (const name of await sys.names('/sys/class/block')) {
    const directory = `/sys/class/block/${name}`;
    if (!(await sys.exists(`${directory}/device`)) || (await sys.exists(`${directory}/partition`))) continue;
    const disk = await readDisk(sys, name, names);
    partitions += (disk['partitions'] as unknown[]).length;
    disks.push(disk);
  }
  return { disks, total: disks.length + partitions };
}

/** What udev knows (it asked the disk itself) goes before what the kernel shows. */
async function readDisk(sys: Sysfs, name: string, names: DeviceNames): Promise<Record<string, unknown>> {
  const directory = `/sys/class/block/${name}`;
  const number = await sys.text(`${directory}/dev`);
  const facts = await readDeviceFacts(sys, `${directory}/device`, names);
  const udev = parseUdev(await sys.text(`/run/udev/data/b${number}`));
  const cdrom = name.startsWith('sr');
  const rotates = (await sys.text(`${directory}/queue/rotational`)) === '1';
  const model = udevText(udev.get('ID_MODEL_ENC') ?? udev.get('ID_MODEL') ?? '');
  return {
    id: name, device: number, ...present({ model: model || (await sys.text(`${directory}/device/model`)) }),
    ...present({ type: cdrom ? 'cdrom' : await sys.linkName(`${directory}/device/subsystem`) }),
    read_only: (await sys.text(`${directory}/ro`)) === '1',
    // A drive's size is that of the disc in it.
    size: cdrom ? 0 : (await sys.number(`${directory}/size`)) * sectorBytes,
    removable: (await sys.text(`${directory}/removable`)) === '1', ...present({ wwn: await sys.text(`${directory}/wwid`) }), numa_node: facts.numaNode,
    ...present({ device_path: await linkTo(sys, '/dev/disk/by-path', name) }), block_size: await sys.number(`${directory}/queue/physical_block_size`),
    ...present({ firmware_version: udev.get('ID_REVISION') ?? (await sys.text(`${directory}/device/firmware_rev`)) }),
    rpm: rotates ? Number(udev.get('ID_ATA_ROTATION_RATE_RPM') ?? 1) : 0,
    ...present({ serial: udev.get('ID_SERIAL_SHORT') ?? '' }), device_id: await linkTo(sys, '/dev/disk/by-id', name),
    partitions: await readPartitions(sys, name), ...present({ pci_address: facts.pciAddress, usb_address: facts.usbAddress }),
  };
}

/** The last of a directory's links to `/dev/<name>`; empty without. */
async function linkTo(sys: Sysfs, directory: string, name: string): Promise<string> {
  const links = await sys.names(directory);
  const targets = await Promise.all(links.map((link) => sys.linkName(`${directory}/${link}`)));
  return links[targets.lastIndexOf(name)] ?? '';
}

async function readPartitions(sys: Sysfs, disk: string): Promise<Record<string, unknown>[]> {
  const directory = `/sys/class/block/${disk}`;
  const names = (await sys.names(directory)).filter((name) => name.startsWith(disk));
  const partitions = await Promise.all(names.map(async (name) => ({
    id: name, device: await sys.text(`${directory}/${name}/dev`), read_only: (await sys.text(`${directory}/${name}/ro`)) === '1',
    size: (await sys.number(`${directory}/${name}/size`)) * sectorBytes, partition: await sys.number(`${directory}/${name}/partition`),
  })));
  return partitions.filter(({ partition }) => partition > 0);
}

/** Properties udev keeps of a device (`E:KEY=VALUE`). */
export function parseUdev(text: string): Map<string, string> {
  return new Map(text.split('\n').filter((line) => line.startsWith('E:')).map((line) => line.slice(2).split(/=(.*)/s) as [string, string]));
}

/** udev writes odd characters as `\\x20`. */
function udevText(text: string): string {
  return text.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))).trim();
}
