import { readDeviceFacts } from './device-facts.js';
import type { DeviceNames } from './device-names.js';
import type { Sysfs } from './sysfs.js';

const root = '/sys/bus/pci/devices';

/** Everything on the PCI bus. */
export async function readPci(sys: Sysfs, names: DeviceNames): Promise<Record<string, unknown>> {
  const devices = await Promise.all((await sys.names(root)).map(async (address) => {
    const directory = `${root}/${address}`;
    const facts = await readDeviceFacts(sys, directory, names);
    return {
      driver: facts.driver, driver_version: facts.driverVersion, numa_node: facts.numaNode, pci_address: address, vendor: facts.vendor, vendor_id: facts.vendorId,
      product: facts.product, product_id: facts.productId, iommu_group: Number((await sys.linkName(`${directory}/iommu_group`)) || '0'),
      vpd: parseVpd((await sys.bytes(`${directory}/vpd`)) ?? Buffer.alloc(0)),
    };
  }));
  return { devices, total: devices.length };
}

const tag = { productName: 0x82, readOnly: 0x90, end: 0x78 } as const;

/** Vital product data (PCI 2.2, appendix I): a product name and two-letter entries. */
export function parseVpd(bytes: Buffer): { product_name?: string; entries?: Record<string, string> } {
  const vpd: { product_name?: string; entries?: Record<string, string> } = {};
  let at = 0;
  while (at + 3 <= bytes.length && bytes[at] !== tag.end) {
    const length = bytes.readUInt16LE(at + 1);
    const value = bytes.subarray(at + 3, at + 3 + length);
    if (bytes[at] === tag.productName) vpd.product_name = value.toString('latin1').trim();
    else if (bytes[at] === tag.readOnly) vpd.entries = parseEntries(value);
    at += 3 + length;
  }
  return vpd;
}

/** `RV` is a checksum, not text. */
function parseEntries(bytes: Buffer): Record<string, string> {
  const entries: Record<string, string> = {};
  for (let at = 0; at + 3 <= bytes.length;) {
    const length = bytes[at + 2] ?? 0;
    const name = bytes.toString('latin1', at, at + 2);
    if (name !== 'RV') entries[name] = bytes.toString('latin1', at + 3, at + 3 + length).replaceAll('\0', '').trim();
    at += 3 + length;
  }
  return entries;
}
