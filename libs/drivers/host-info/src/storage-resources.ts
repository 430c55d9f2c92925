import { readDeviceFacts } from './device-facts.js';
import type { PciNames } from './pci-names.js';
import { present, type Sysfs } from './sysfs.js';

const sectorBytes = 512;

/** Disks with a device behind them; loop files, RAM and volumes of other layers are none. */
export async function readStorage(sys: Sysfs, names: PciNames): Promise<Record<string, unknown>> {
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

async function readDisk(sys: Sysfs, name: string, names: PciNames): Promise<Record<string, unknown>> {
  const directory = `/sys/class/block/${name}`;
  const number = await sys.text(`${directory}/dev`);
  const facts = await readDeviceFacts(sys, `${directory}/device`, names);
  const udev = parseUdev(await sys.text(`/run/udev/data/b${number}`));
  return {
    id: name, device: number, ...present({ model: (await sys.text(`${directory}/device/model`)) || (udev.properties.get('ID_MODEL') ?? '') }),
    type: await diskType(sys, directory, name),
    read_only: (await sys.text(`${directory}/ro`)) === '1', size: (await sys.number(`${directory}/size`)) * sectorBytes,
    removable: (await sys.text(`${directory}/removable`)) === '1', ...present({ wwn: (await sys.text(`${directory}/wwid`)) || (udev.properties.get('ID_WWN') ?? '') }),
    numa_node: facts.numaNode,
    ...present({ device_path: udev.properties.get('ID_PATH') ?? '' }),
    block_size: await sys.number(`${directory}/queue/physical_block_size`),
    ...present({ firmware_version: (await sys.text(`${directory}/device/firmware_rev`)) || (await sys.text(`${directory}/device/rev`)) }),
    rpm: await sys.number(`${directory}/queue/rotational`),
    ...present({ serial: udev.properties.get('ID_SERIAL_SHORT') ?? (await sys.text(`${directory}/device/serial`)) }),
    device_id: udev.links.find((link) => link.startsWith('disk/by-id/'))?.slice('disk/by-id/'.length) ?? '',
    partitions: await readPartitions(sys, name),
    ...present({ pci_address: facts.pciAddress, usb_address: facts.usbAddress }),
  };
}

async function readPartitions(sys: Sysfs, disk: string): Promise<Record<string, unknown>[]> {
  const directory = `/sys/class/block/${disk}`;
  const names = (await sys.names(directory)).filter((name) => name.startsWith(disk));
  const partitions = await Promise.all(names.map(async (name) => ({
    id: name, device: await sys.text(`${directory}/${name}/dev`), read_only: (await sys.text(`${directory}/${name}/ro`)) === '1',
    size: (await sys.number(`${directory}/${name}/size`)) * sectorBytes, partition: await sys.number(`${directory}/${name}/partition`),
  })));
  return partitions.filter(({ partition }) => partition > 0).sort((a, b) => a.partition - b.partition);
}

async function diskType(sys: Sysfs, directory: string, name: string): Promise<string> {
  const real = await sys.resolve(directory);
  if (name.startsWith('sr')) return 'cdrom';
  if (/\/usb\d+\//.test(real)) return 'usb';
  const subsystem = await sys.linkName(`${directory}/device/subsystem`);
  return subsystem === 'scsi' && real.includes('/ata') ? 'sata' : subsystem;
}

/** What udev noted of a device: `E:KEY=VALUE` properties and `S:` links below /dev. */
export function parseUdev(text: string): { properties: Map<string, string>; links: string[] } {
  const lines = text.split('\n');
  const properties = lines.filter((line) => line.startsWith('E:')).map((line) => line.slice(2).split(/=(.*)/s) as [string, string]);
  return { properties: new Map(properties), links: lines.filter((line) => line.startsWith('S:')).map((line) => line.slice(2)).sort() };
}
