import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { internal } from '#kernel';

/** A character device for programs that talk InfiniBand past the kernel's network. */
export interface InfinibandNode {
  /** `issm0`, `umad0`, `uverbs0`. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
}

const infinibandType = '32';

/** InfiniBand as the kernel shows it: links, functions of cards, and nodes. */
export class InfinibandLinks {
  constructor(private readonly sysfs = '/sys') {}

  /** @throws in LXD's words when a link of the host is none of InfiniBand's. */
  check(link: string): void {
    if (!this.isInfiniband(link)) throw internal(`Specified infiniband device "${link}" not found`);
  }

  /** A link of one of the parent's functions that is not among `taken`: such cards make none on demand. */
  free(parent: string, taken: ReadonlySet<string>): string {
    const device = `${this.sysfs}/class/net/${parent}/device`;
    const functions = list(device).filter((name) => /^virtfn\d+$/.test(name)).sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)));
    const link = functions.flatMap((name) => list(`${device}/${name}/net`)).find((name) => !taken.has(name) && this.isInfiniband(name));
    if (link === undefined) throw internal('All virtual functions on parent device are already in use');
    return link;
  }

  /** The nodes of a link's port: `dev_port` counts from 0, and so do they. */
  nodes(link: string): InfinibandNode[] {
    const directory = `${this.sysfs}/class/net/${link}`;
    const port = Number(text(`${directory}/dev_port`) || 0);
    return ([['infiniband_mad', 'issm'], ['infiniband_mad', 'umad'], ['infiniband_verbs', 'uverbs']] as const).flatMap(([kind, prefix]): InfinibandNode[] => {
      const names = list(`${directory}/device/${kind}`).filter((name) => name.startsWith(prefix));
      const name = names[Math.min(port, names.length - 1)];
      const [, major, minor] = /^(\d+):(\d+)$/.exec(name === undefined ? '' : text(`${directory}/device/${kind}/${name}/dev`)) ?? [];
      return name === undefined || major === undefined ? [] : [{ name, major: Number(major), minor: Number(minor) }];
    });
  }

  private isInfiniband(link: string): boolean {
    return text(`${this.sysfs}/class/net/${link}/type`) === infinibandType && existsSync(`${this.sysfs}/class/net/${link}/device`);
  }
}

/** An address as a whole, or the last eight bytes of it, which are a port's own. @throws in LXD's words for others. */
export function wholeAddress(hwaddr: string, current: string): string {
  if (hwaddr.length === wholeLength) return hwaddr;
  if (hwaddr.length === portLength && current.length === wholeLength) return `${current.slice(0, wholeLength - portLength)}${hwaddr}`;
  throw internal('Failed to set the MAC address: Invalid length');
}

/** Of twenty bytes, and of eight, as text. */
const wholeLength = 59;
const portLength = 23;

function list(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}
