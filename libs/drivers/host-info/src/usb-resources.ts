import { driverVersion } from './device-facts.js';
import type { DeviceNames } from './device-names.js';
import type { Sysfs } from './sysfs.js';

const root = '/sys/bus/usb/devices';

/** Devices on USB, hubs left out. */
export async function readUsb(sys: Sysfs, ids: DeviceNames): Promise<Record<string, unknown>> {
  const names = (await sys.names(root)).filter((name) => /^\d+-[\d.]+$/.test(name));
  const found = await Promise.all(names.map((name) => readDevice(sys, name, ids)));
  const devices = found.filter((device) => device !== null);
  return { devices, total: devices.length };
}

async function readDevice(sys: Sysfs, name: string, ids: DeviceNames): Promise<Record<string, unknown> | null> {
  const directory = `${root}/${name}`;
  if ((await sys.text(`${directory}/bDeviceClass`)) === '09') return null;
  const [vendorId, productId] = [await sys.text(`${directory}/idVendor`), await sys.text(`${directory}/idProduct`)];
  const interfaces = (await sys.names(directory)).filter((entry) => entry.startsWith(`${name}:`));
  return {
    bus_address: await sys.number(`${directory}/busnum`), device_address: await sys.number(`${directory}/devnum`),
    interfaces: await Promise.all(interfaces.map((entry) => readInterface(sys, `${directory}/${entry}`, ids))),
    vendor: ids.vendor(vendorId), vendor_id: vendorId,
    product: (await sys.text(`${directory}/product`)) || ids.product(vendorId, productId), product_id: productId,
    speed: await sys.number(`${directory}/speed`),
  };
}

async function readInterface(sys: Sysfs, directory: string, ids: DeviceNames): Promise<Record<string, unknown>> {
  const [classId, subclassId, number, driver] = await Promise.all([
    sys.text(`${directory}/bInterfaceClass`), sys.text(`${directory}/bInterfaceSubClass`), sys.text(`${directory}/bInterfaceNumber`),
    sys.linkName(`${directory}/driver`),
  ]);
  const hex = (text: string): number => Number.parseInt(text || '0', 16);
  return {
    class: ids.className(classId), class_id: hex(classId), driver, driver_version: await driverVersion(sys, directory), number: hex(number),
    // LXD has no name for subclass 0, whatever the database calls it.
    subclass: hex(subclassId) === 0 ? '' : ids.subclassName(classId, subclassId), subclass_id: hex(subclassId),
  };
}
