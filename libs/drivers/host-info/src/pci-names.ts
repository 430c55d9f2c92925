import type { Sysfs } from './sysfs.js';

const databases = ['/usr/share/misc/pci.ids', '/usr/share/hwdata/pci.ids'];

/** Names of vendors and products by their ids, from the database of the host's distribution; empty names where there is none. */
export class PciNames {
  private constructor(private readonly vendors: ReadonlyMap<string, string>, private readonly products: ReadonlyMap<string, string>) {}

  static async read(sys: Sysfs): Promise<PciNames> {
    for (const path of databases) {
      const text = await sys.text(path);
      if (text !== '') return PciNames.parse(text);
    }
    return new PciNames(new Map(), new Map());
  }

  /** `vendor  name` at the margin, `<tab>product  name` below it; what is indented deeper, and classes, do not matter here. */
  static parse(text: string): PciNames {
    const vendors = new Map<string, string>();
    const products = new Map<string, string>();
    let vendor = '';
    for (const line of text.split('\n')) {
      if (line.startsWith('C ')) break;
      const match = /^(\t?)([0-9a-f]{4}) {2}(.+)$/.exec(line);
      if (!match) continue;
      const [, indent, id = '', name = ''] = match;
      if (indent === '') vendors.set((vendor = id), name);
      else products.set(`${vendor}:${id}`, name);
    }
    return new PciNames(vendors, products);
  }

  vendor(id: string): string { return this.vendors.get(id) ?? ''; }
  product(vendorId: string, id: string): string { return this.products.get(`${vendorId}:${id}`) ?? ''; }
}
