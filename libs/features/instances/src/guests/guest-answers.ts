import { Injectable } from '@nestjs/common';
import { forbidden, internal, isFalse, isTrue, LocalMember, notFound } from '#kernel';
import { isPublicGuestKey } from '../rules/guest-keys.rules.js';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { rootOnHost } from '../rules/idmap.rules.js';

/** What an answer is made of: a value as JSON, or text as it is. */
export type GuestAnswer = { readonly json: unknown } | { readonly text: string };

/** What the guest API says about an instance, in LXD's form and words. Reads memory only. */
@Injectable()
export class GuestAnswers {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly self: LocalMember,
  ) {}

  /** The instance behind a caller: `name` is the host's, `uid` the caller's on the host. @throws what the caller is told instead. */
  identify(name: string, uid: number): ExpandedInstance {
    const split = name.lastIndexOf('_');
    const instance = this.catalog.find(split < 0 ? 'default' : name.slice(0, split), name.slice(split + 1));
    if (instance === undefined || !this.catalog.isLocal(instance)) throw internal('pid not in container?');
    if (isFalse(instance.expandedConfig['security.devlxd'])) throw forbidden('not authorized');
    if (uid !== rootOnHost(this.catalog.fullConfig(instance))) throw forbidden('Access denied for non-root user', { details: { httpStatus: 401 } });
    return instance;
  }

  /** The answer to a path, as split at its slashes and decoded; null where there is none. */
  answer(instance: ExpandedInstance, path: readonly string[]): GuestAnswer | null {
    const [version, noun, key] = path;
    if (path.length === 0) return { json: ['/1.0'] };
    if (version !== '1.0' || path.length > 3 || path.includes('')) return null;
    if (noun === undefined) return { json: { state: '', api_version: '1.0', instance_type: instance.row.type, location: this.self.location } };
    if (key === undefined && noun === 'meta-data') return { text: this.metaData(instance) };
    if (key === undefined && noun === 'devices') return { json: this.devices(instance) };
    if (noun === 'config') return key === undefined ? { json: this.configUrls(instance) } : { text: this.configValue(instance, key) };
    return null;
  }

  /** @throws `forbidden` where images are not offered to it. */
  checkImages(instance: ExpandedInstance): void {
    if (!isTrue(instance.expandedConfig['security.devlxd.images'])) throw forbidden('not authorized');
  }

  private metaData({ row, expandedConfig }: ExpandedInstance): string {
    const id = row.config['volatile.cloud-init.instance-id'] ?? '';
    return `#cloud-config\ninstance-id: ${id}\nlocal-hostname: ${row.name}\n${expandedConfig['user.meta-data'] ?? ''}`;
  }

  /** With the addresses that interfaces have by themselves. */
  private devices(instance: ExpandedInstance): Record<string, Record<string, string>> {
    const config = this.catalog.fullConfig(instance);
    return Object.fromEntries(Object.entries(instance.expandedDevices).map(([name, device]) => {
      const hwaddr = device.type === 'nic' && !device.hwaddr ? config[`volatile.${name}.hwaddr`] : undefined;
      const filled = hwaddr === undefined ? device : { ...device, hwaddr };
      return [name, Object.fromEntries(Object.entries(filled).sort(([a], [b]) => (a < b ? -1 : 1)))];
    }));
  }

  private configUrls({ expandedConfig }: ExpandedInstance): string[] {
    return Object.keys(expandedConfig).filter(isPublicGuestKey).sort().map((key) => `/1.0/config/${key}`);
  }

  private configValue({ expandedConfig }: ExpandedInstance, key: string): string {
    if (!isPublicGuestKey(key)) throw forbidden('not authorized');
    const value = expandedConfig[key];
    if (value === undefined || value === '') throw notFound('not found');
    return value;
  }
}
