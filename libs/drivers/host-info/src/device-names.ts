import type { Sysfs } from './sysfs.js';

const pciDatabases = ['/usr/share/hwdata/pci.ids', '/usr/share/misc/pci.ids'];
const usbDatabases = ['/usr/share/misc/usb.ids', '/usr/share/hwdata/usb.ids'];

/**
 * Names of vendors and products by their ids, from the databases of the host's distribution (pci.ids, usb.ids: the same form); empty
 * names where there is none. Ids are hexadecimal without `0x`, as in the files.
 */
export class DeviceNames {
  private constructor(
    private readonly vendors: ReadonlyMap<string, string>,
    private readonly products: ReadonlyMap<string, string>,
    private readonly classes: ReadonlyMap<string, string>,
  ) {}

  static readPci(sys: Sysfs): Promise<DeviceNames> { return DeviceNames.read(sys, pciDatabases); }
  static readUsb(sys: Sysfs): Promise<DeviceNames> { return DeviceNames.read(sys, usbDatabases); }

  private static async read(sys: Sysfs, paths: readonly string[]): Promise<DeviceNames> {
    for (const path of paths) {
      const text = await sys.textOrCompressed(path);
      if (text !== '') return DeviceNames.parse(text);
    }
    return DeviceNames.parse('');
  }

  /** `vendor  name` at the margin and `<tab>product  name` below; `C class  name` and `<tab>subclass  name`. What is indented deeper does not matter here. */
  static parse(text: string): DeviceNames {
    const [vendors, products, classes] = [new Map<string, string>(), new Map<string, string>(), new Map<string, string>()];
    let current = '';
    for (const line of text.split('\n')) {
      const match = /^(\t|C |)([0-9a-f]{2,4}) {2}(.+)$/.exec(line);
      // Other sections (`HID 21  ...`) have sub-entries of their own.
      if (!match) current = /^[A-Z]/.test(line) ? '' : current;
      else if (match[1] === '\t' && current !== '') (current.startsWith('C ') ? classes : products).set(`${current}:${match[2]}`, match[3]!);
      else if (match[1] === 'C ') classes.set((current = `C ${match[2]}`), match[3]!);
      else if (match[1] === '') vendors.set((current = match[2]!), match[3]!);
    }
    return new DeviceNames(vendors, products, classes);
  }

  vendor(id: string): string { return this.vendors.get(id) ?? ''; }
  product(vendorId: string, id: string): string { return this.products.get(`${vendorId}:${id}`) ?? ''; }
  className(id: string): string { return this.classes.get(`C ${id}`) ?? ''; }
  subclassName(classId: string, id: string): string { return this.classes.get(`C ${classId}:${id}`) ?? ''; }
}
