import { AppError, invalid, notFound } from '#kernel';
import type { Invocation } from '../../../invocation.js';
import { nameOf, url, type Server } from '../../../server.js';
import { imageSource, waitForCreation } from '../../images/image-source.js';
import { writableInstance } from '../../instance-shape.js';
import type { Declaration, Kind } from './declarations.js';
import { isElsewhere, marker, type Actual } from './differences.js';
import { MemberParts } from './member-parts.js';

type Raw = Record<string, any>;
type Named = Pick<Declaration, 'kind' | 'name' | 'project' | 'pool'> & { readonly target?: string };

const collections: Readonly<Record<Exclude<Kind, 'server' | 'volume'>, string>> = { project: 'projects', pool: 'storage-pools', network: 'networks', acl: 'network-acls', profile: 'profiles', instance: 'instances' };

/** Talks to a server about the objects of declarations. */
export class Objects {
  readonly parts: MemberParts;

  constructor(private readonly invocation: Invocation, private readonly server: Server, private readonly set: string) {
    this.parts = new MemberParts(invocation, server);
  }

  private url(one: Named, more: readonly string[] = []): string {
    if (one.kind === 'server') return '/1.0';
    const query = ['project', 'pool'].includes(one.kind) ? {} : { project: one.project, ...(one.kind === 'volume' ? { target: one.target } : {}) };
    if (one.kind === 'volume') return url(['storage-pools', one.pool, 'volumes', 'custom', one.name, ...more], query);
    return url([collections[one.kind], one.name, ...more], query);
  }

  /** As it is; undefined where it is not. */
  async load(one: Named): Promise<Actual | undefined> {
    try {
      const { value, etag } = await this.server.fetch<Raw>(this.url(one));
      if (['pool', 'network'].includes(one.kind) && this.parts.isUnfinished(value['status'])) return undefined;
      return {
        location: this.server.clustered ? value['location'] ?? '' : '',
        description: value['description'] ?? '', config: value['config'] ?? {}, devices: value['devices'] ?? {}, profiles: value['profiles'] ?? [], running: value['status'] === 'Running',
        type: one.kind === 'pool' ? value['driver'] : one.kind === 'volume' ? value['content_type'] || 'filesystem' : value['type'] ?? '', ingress: value['ingress'] ?? [], egress: value['egress'] ?? [], raw: value, etag,
      };
    } catch (error) {
      if (AppError.is(error, 'not-found')) return undefined;
      throw error;
    }
  }

  private marked(wanted: Declaration): Record<string, string> {
    return wanted.kind === 'server' ? { ...wanted.config } : { ...wanted.config, [marker]: `${this.set} ${wanted.hash}` };
  }

  async create(wanted: Declaration): Promise<void> {
    const { invocation, server } = this;
    const config = this.marked(wanted);
    const description = wanted.description ?? '';
    const query = { project: wanted.project };
    switch (wanted.kind) {
      case 'server': return this.update(wanted, (await this.load(wanted))!);
      case 'project': return void await invocation.run(server, 'POST', url(['projects']), { name: wanted.name, description, config });
      case 'pool': return void await invocation.run(server, 'POST', url(['storage-pools']), await this.parts.define(wanted, 'storage-pools', { name: wanted.name, description, config, driver: wanted.type }));
      case 'network': return void await invocation.run(server, 'POST', url(['networks'], query), await this.parts.define(wanted, 'networks', { name: wanted.name, description, config, type: wanted.type }));
      case 'acl': return void await invocation.run(server, 'POST', url(['network-acls'], query), { name: wanted.name, description, config, ingress: wanted.ingress ?? [], egress: wanted.egress ?? [] });
      case 'profile': return void await invocation.run(server, 'POST', url(['profiles'], query), { name: wanted.name, description, config, devices: wanted.devices });
      case 'volume': return void await invocation.run(server, 'POST', url(['storage-pools', wanted.pool, 'volumes', 'custom'], { ...query, target: wanted.target }), { name: wanted.name, description, config, type: 'custom', content_type: wanted.type });
      case 'instance': return this.createInstance(wanted, config, description);
    }
  }

  private async createInstance(wanted: Declaration, config: Record<string, string>, description: string): Promise<void> {
    const { invocation, server } = this;
    const source = await imageSource(invocation, server, wanted.image, wanted.type);
    const body = { name: wanted.name, description, config, devices: wanted.devices, profiles: wanted.profiles ?? null, type: wanted.type };
    await waitForCreation(invocation, server, (one) => server.api.call('POST', url(['instances'], { project: wanted.project, target: wanted.target }), { body: { ...body, source: one } }), source, `Creating ${wanted.name}`);
    if (wanted.running) await this.changeState(wanted, 'start');
  }

  private async changeState(one: Named, action: 'start' | 'stop'): Promise<void> {
    await this.invocation.run(this.server, 'PUT', this.url(one, ['state']), { action, timeout: 30, force: action === 'stop', stateful: false });
  }

  async update(wanted: Declaration, found: Actual): Promise<void> {
    if (found.type !== wanted.type && ['instance', 'pool', 'network', 'volume'].includes(wanted.kind)) throw invalid(`its type is "${found.type}" and cannot become "${wanted.type}": delete it first`);
    // A move changes more than the place.
    const actual = isElsewhere(wanted, found) ? await this.move(wanted, found) : found;
    const kept = Object.fromEntries(Object.entries(actual.config).filter(([key]) => key.startsWith('volatile.') || key.startsWith('image.') || ['pool', 'network', 'volume', 'server'].includes(wanted.kind) || (wanted.kind === 'project' && key.startsWith('features.'))));
    const config = { ...kept, ...this.marked(wanted) };
    const description = wanted.description ?? actual.description;
    const body: Raw = { config, description };
    if (wanted.kind === 'profile') body['devices'] = wanted.devices;
    if (wanted.kind === 'acl') Object.assign(body, { ingress: wanted.ingress ?? actual.ingress, egress: wanted.egress ?? actual.egress });
    if (wanted.kind === 'server') delete body['description'];
    const whole = wanted.kind === 'instance' ? { ...writableInstance(actual.raw), ...body, devices: wanted.devices, profiles: wanted.profiles ?? actual.profiles } : body;
    await this.invocation.run(this.server, 'PUT', this.url(wanted), whole, '', { 'if-match': actual.etag });
    if (wanted.kind === 'instance' && wanted.running !== actual.running) await this.changeState(wanted, wanted.running ? 'start' : 'stop');
  }

  /** Nothing that runs is stopped for it. Returns what is there now. */
  private async move(wanted: Declaration, actual: Actual): Promise<Actual> {
    if (actual.running) throw invalid(`it runs on "${actual.location}": stop it to have it moved to "${wanted.target}"`);
    const path = url(['instances', wanted.name], { project: wanted.project, target: wanted.target });
    await this.invocation.run(this.server, 'POST', path, { name: wanted.name, migration: true }, `Moving ${wanted.name}`);
    const moved = await this.load(wanted);
    if (moved === undefined) throw notFound(`it is gone since it was moved to "${wanted.target}"`);
    return moved;
  }

  async remove(one: Named): Promise<void> {
    if (one.kind === 'instance' && (await this.load(one))?.running) await this.changeState(one, 'stop');
    await this.invocation.run(this.server, 'DELETE', this.url(one));
  }

  /** Everything that a description of this name has made. */
  async madeHere(): Promise<Named[]> {
    const { server } = this;
    const found: Named[] = [];
    const ours = (value: Raw): boolean => String(value['config']?.[marker] ?? '').split(' ')[0] === this.set;
    const projects = await server.get<Raw[]>(url(['projects'], { recursion: 1 }));
    for (const one of projects) if (ours(one)) found.push({ kind: 'project', name: one['name'], project: 'default', pool: '' });
    const pools = await server.get<Raw[]>(url(['storage-pools'], { recursion: 1 }));
    for (const one of pools) if (ours(one)) found.push({ kind: 'pool', name: one['name'], project: 'default', pool: '' });
    for (const project of projects.map((one) => String(one['name']))) {
      for (const kind of ['network', 'acl', 'profile', 'instance'] as const) {
        // What a server cannot make it has not made.
        if (kind === 'acl' && !server.has('network_acl')) continue;
        const list = await server.get<Raw[]>(url([collections[kind]], { recursion: 1, project }));
        // A project that shares with the default one shows its objects too.
        for (const one of list) if (ours(one) && !found.some((known) => known.kind === kind && known.name === one['name'] && known.project === 'default' && kind !== 'instance')) found.push({ kind, name: one['name'], project, pool: '' });
      }
      for (const pool of pools) {
        const volumes = await server.get<Raw[]>(url(['storage-pools', pool['name'], 'volumes', 'custom'], { recursion: 1, project }));
        for (const one of volumes) {
          if (ours(one) && !String(one['name']).includes('/') && !found.some((known) => known.kind === 'volume' && known.name === one['name'] && known.pool === pool['name'] && (known.target ?? one['location']) === one['location'] && known.project === (one['project'] ?? project))) found.push({ kind: 'volume', name: nameOf(one['name']), project: one['project'] ?? project, pool: pool['name'], ...(server.clustered ? { target: one['location'] } : {}) });
        }
      }
    }
    return found;
  }
}
