import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import type { StaticLease } from '#ports';
import { projectPrefixed } from '#kernel';
import { replaceFile } from './dnsmasq-service.js';

/**
 * The files in a network's `dnsmasq.hosts`, one per NIC. The first line is a comment that holds the lease itself, so that files can be
 * written anew when `dns.mode` changes; the second is dnsmasq's.
 */
export class StaticLeaseFiles {
  constructor(private readonly directory: string) {}

  /** Writes a NIC's file, or removes it where the lease says nothing. True when something changed. */
  async set(lease: StaticLease, dnsMode: string): Promise<boolean> {
    const path = `${this.directory}/${fileName(lease)}`;
    const content = leaseText(lease, dnsMode);
    const before = await readFile(path, 'utf8').catch(() => '');
    if (before === content) return false;
    if (content === '') {
      await rm(path, { force: true });
      return before !== '';
    }
    await mkdir(this.directory, { recursive: true, mode: 0o755 });
    await replaceFile(path, content);
    return true;
  }

  async find(project: string, instance: string, device: string): Promise<StaticLease | null> {
    const path = `${this.directory}/${fileName({ project, instance, device })}`;
    return parseLease(await readFile(path, 'utf8').catch(() => ''));
  }

  async list(): Promise<StaticLease[]> {
    const names = await readdir(this.directory).catch(() => [] as string[]);
    const texts = await Promise.all(names.filter((name) => !name.endsWith('.new')).map((name) => readFile(`${this.directory}/${name}`, 'utf8').catch(() => '')));
    return texts.map(parseLease).filter((lease) => lease !== null);
  }
}

/** As LXD names it: `INSTANCE.DEVICE`, with the project in front outside the default one; `-` and `/` of the device are escaped. */
function fileName({ project, instance, device }: Pick<StaticLease, 'project' | 'instance' | 'device'>): string {
  return `${projectPrefixed(project, instance)}.${device.replaceAll('-', '--').replaceAll('/', '-')}`;
}

/** Only a network in mode `managed` registers the name; a NIC with neither name nor address needs no file. */
export function leaseText(lease: StaticLease, dnsMode: string): string {
  if (lease.hwaddr === '') return '';
  const name = dnsMode === '' || dnsMode === 'managed' ? lease.instance : '';
  const fields = [lease.ipv4Address, lease.ipv6Address === '' ? '' : `[${lease.ipv6Address}]`, name].filter((field) => field !== '');
  // Where no name is registered there may be one later: the comment alone remembers it.
  return `# ${JSON.stringify(lease)}\n${fields.length === 0 ? '' : `${[lease.hwaddr, ...fields].join(',')}\n`}`;
}

function parseLease(text: string): StaticLease | null {
  const line = text.split('\n')[0] ?? '';
  if (!line.startsWith('# {')) return null;
  try {
    return JSON.parse(line.slice(2)) as StaticLease;
  } catch {
    return null; // Not written by us.
  }
}
