import { driverVersion } from './device-facts.js';
import { present, type Sysfs } from './sysfs.js';

const root = '/sys/bus/usb/devices';

/** Names of interface classes by the USB Implementers Forum's numbers. */
const classes: Readonly<Record<number, string>> = {
  0x01: 'Audio', 0x02: 'Communications', 0x03: 'Human Interface Device', 0x05: 'Physical Interface Device', 0x06: 'Imaging', 0x07: 'Printer',
  0x08: 'Mass Storage', 0x09: 'Hub', 0x0a: 'CDC Data', 0x0b: 'Chip/SmartCard', 0x0d: 'Content Security', 0x0e: 'Video', 0x0f: 'Personal Healthcare',
  0x10: 'Audio/Video', 0xdc: 'Diagnostic', 0xe0: 'Wireless', 0xef: 'Miscellaneous', 0xfe: 'Application Specific Interface', 0xff: 'Vendor Specific Class',
};

/** Devices on USB, hubs of the host itself left out. */
export async function readUsb(sys: Sysfs): Promise<Record<string, unknown>> {
  const names = (await sys.names(root)).filter((name) => /^\d+-[\d.]+$/.test(name));
  const found = await Promise.all(names.map((name) => readDevice(sys, name)));
  const devices = found.filter((device) => device !== null);
  return { devices, total: devices.length };
}

async function readDevice(sys: Sysfs, name: string): Promise<Record<string, unknown> | null> {
  const directory = `${root}/${name}`;
  if ((await sys.text(`${directory}/bDeviceClass`)) === '09') return null;
  const interfaces = (await sys.names(directory)).filter((entry) => entry.startsWith(`${name}:`));
  return {
    bus_address: await sys.number(`${directory}/busnum`), device_address: await sys.number(`${directory}/devnum`),
    interfaces: await Promise.all(interfaces.map((entry) => readInterface(sys, `${directory}/${entry}`))),
    vendor: await sys.text(`${directory}/manufacturer`), vendor_id: await sys.text(`${directory}/idVendor`),
    product: await sys.text(`${directory}/product`), product_id: await sys.text(`${directory}/idProduct`),
    speed: await sys.number(`${directory}/speed`),
  };
}

async function readInterface(sys: Sysfs, directory: string): Promise<Record<string, unknown>> {
  const hex = async (file: string): Promise<number> => Number.parseInt((await sys.text(`${directory}/${file}`)) || '0', 16);
  const [classId, subclassId, number, driver] = await Promise.all([
    hex('bInterfaceClass'), hex('bInterfaceSubClass'), hex('bInterfaceNumber'), sys.linkName(`${directory}/driver`),
  ]);
  return {
    class: classes[classId] ?? '', class_id: classId, ...present({ driver, driver_version: await driverVersion(sys, driver) }), number,
    subclass: '', subclass_id: subclassId,
  };
}
