import type { Sysfs } from './sysfs.js';

const dmi = '/sys/class/dmi/id';

/** Kinds of chassis by the numbers of SMBIOS 3.4, 7.4.1. */
const chassisTypes: Readonly<Record<number, string>> = {
  1: 'Other', 2: 'Unknown', 3: 'Desktop', 4: 'Low Profile Desktop', 5: 'Pizza Box', 6: 'Mini Tower', 7: 'Tower', 8: 'Portable', 9: 'Laptop', 10: 'Notebook',
  11: 'Hand Held', 12: 'Docking Station', 13: 'All in One', 14: 'Sub Notebook', 15: 'Space-saving', 16: 'Lunch Box', 17: 'Main Server Chassis',
  18: 'Expansion Chassis', 19: 'SubChassis', 20: 'Bus Expansion Chassis', 21: 'Peripheral Chassis', 22: 'RAID Chassis', 23: 'Rack Mount Chassis',
  24: 'Sealed-case PC', 25: 'Multi-system Chassis', 26: 'Compact PCI', 27: 'Advanced TCA', 28: 'Blade', 29: 'Blade Enclosure', 30: 'Tablet', 31: 'Convertible',
  32: 'Detachable', 33: 'IoT Gateway', 34: 'Embedded PC', 35: 'Mini PC', 36: 'Stick PC',
};

/** The machine as its firmware describes it; without firmware tables all is empty. `type` is physical, virtual-machine or container. */
export async function readSystem(sys: Sysfs): Promise<Record<string, unknown>> {
  const get = (file: string): Promise<string> => sys.text(`${dmi}/${file}`);
  const tables = await sys.exists(dmi);
  const [uuid, vendor, product, family, version, sku, serial] = await Promise.all(
    ['product_uuid', 'sys_vendor', 'product_name', 'product_family', 'product_version', 'product_sku', 'product_serial'].map(get));
  return {
    uuid, vendor, product, family, version, sku, serial, type: await systemType(sys, [vendor, product]),
    firmware: tables ? { vendor: await get('bios_vendor'), date: await get('bios_date'), version: await get('bios_version') } : null,
    chassis: tables
      ? { vendor: await get('chassis_vendor'), type: chassisTypes[Number((await get('chassis_type')) || '2')] ?? 'Unknown',
          serial: await get('chassis_serial'), version: await get('chassis_version') }
      : null,
    motherboard: tables
      ? { vendor: await get('board_vendor'), product: await get('board_name'), serial: await get('board_serial'), version: await get('board_version') }
      : null,
  };
}

const virtualMakers = /qemu|kvm|vmware|virtualbox|innotek|xen|bochs|parallels|amazon ec2|google compute|openstack|microsoft corporation virtual|bhyve|firecracker/i;

/** Container managers leave marks; a hypervisor shows in the CPU's flags. */
async function systemType(sys: Sysfs, makers: readonly (string | undefined)[]): Promise<string> {
  const marks = await Promise.all([
    sys.exists('/.dockerenv'), sys.exists('/run/.containerenv'), sys.exists('/run/systemd/container'),
    sys.text('/proc/1/environ').then((text) => text.split('\0').some((variable) => variable.startsWith('container='))),
  ]);
  if (marks.includes(true)) return 'container';
  const flags = /^flags\s*:(.*)$/m.exec(await sys.text('/proc/cpuinfo'))?.[1]?.split(' ') ?? [];
  return flags.includes('hypervisor') || virtualMakers.test(makers.join(' ')) ? 'virtual-machine' : 'physical';
}
