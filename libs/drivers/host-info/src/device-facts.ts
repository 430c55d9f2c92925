import type { DeviceNames } from './device-names.js';
import { present, type Sysfs } from './sysfs.js';

/** Facts every piece of hardware has: driver, place, maker. Fields that LXD leaves out when empty are left out. */
export interface DeviceFacts {
  readonly driver: string;
  /** That of the module, else the kernel's release. */
  readonly driverVersion: string;
  readonly numaNode: number;
  readonly pciAddress: string;
  readonly usbAddress: string;
  readonly vendor: string;
  readonly vendorId: string;
  readonly product: string;
  readonly productId: string;
}

/** Of the device at `directory` (`/sys/class/.../device`). */
export async function readDeviceFacts(sys: Sysfs, directory: string, names: DeviceNames): Promise<DeviceFacts> {
  const driver = await sys.linkName(`${directory}/driver`);
  const real = await sys.resolve(directory);
  const vendorId = hexId(await sys.text(`${directory}/vendor`));
  const productId = hexId(await sys.text(`${directory}/device`));
  return {
    driver, driverVersion: await driverVersion(sys, directory), numaNode: Math.max(0, await sys.number(`${directory}/numa_node`)),
    pciAddress: await pciAddress(sys, real),
    usbAddress: await usbAddress(sys, real), vendor: names.vendor(vendorId), vendorId, product: names.product(vendorId, productId), productId,
  };
}

/** As cards show it. */
export function cardFields(facts: DeviceFacts): Record<string, unknown> {
  return {
    ...present({ driver: facts.driver, driver_version: facts.driverVersion }), numa_node: facts.numaNode,
    ...present({
      pci_address: facts.pciAddress, usb_address: facts.usbAddress, vendor: facts.vendor, vendor_id: facts.vendorId, product: facts.product,
      product_id: facts.productId,
    }),
  };
}

/** That of the driver bound to the device at `directory`: its module's own, else the kernel's. Empty for a device without a driver. */
export async function driverVersion(sys: Sysfs, directory: string): Promise<string> {
  if (!(await sys.exists(`${directory}/driver`))) return '';
  return (await sys.text(`${directory}/driver/module/version`)) || (await sys.text('/proc/sys/kernel/osrelease'));
}

/** `0x1af4` as `1af4`. */
export function hexId(text: string): string {
  return /^0x[0-9a-f]+$/i.test(text) ? text.slice(2) : '';
}

/** Of a device on the PCI bus, or of a virtio device behind one. What hangs below a controller (a disk, a USB device) has none. */
async function pciAddress(sys: Sysfs, real: string): Promise<string> {
  const virtio = (await sys.linkName(`${real}/subsystem`)) === 'virtio';
  const path = virtio ? real.slice(0, real.lastIndexOf('/')) : real;
  return (await sys.linkName(`${path}/subsystem`)) === 'pci' ? path.slice(path.lastIndexOf('/') + 1) : '';
}

/** `BUS:DEVICE` where the device hangs on USB. */
async function usbAddress(sys: Sysfs, real: string): Promise<string> {
  if (!/\/usb\d+\//.test(real)) return '';
  // The interface's directory lies below the device's.
  for (let path = real; path.includes('/usb'); path = path.slice(0, path.lastIndexOf('/'))) {
    const [bus, device] = [await sys.number(`${path}/busnum`), await sys.number(`${path}/devnum`)];
    if (bus > 0 && device > 0) return `${bus}:${device}`;
  }
  return '';
}
