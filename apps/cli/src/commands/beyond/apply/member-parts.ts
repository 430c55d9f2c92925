import { AppError, invalid } from '#kernel';
import type { Invocation } from '../../../invocation.js';
import { url, type Server } from '../../../server.js';
import type { Declaration } from './declarations.js';

/** What each member of a cluster has for itself of a pool or a network. */
const memberKeys: Readonly<Record<string, readonly string[]>> = {
  pool: ['source', 'size', 'volatile.initial_source', 'zfs.pool_name', 'lvm.thinpool_name', 'lvm.vg_name', 'lvm.vg.force_reuse'],
  network: ['bridge.external_interfaces', 'parent', 'bgp.ipv4.nexthop', 'bgp.ipv6.nexthop'],
};

/**
 * Pools and networks of a cluster: a part is defined on each member, then the whole is made at once. Keys of members stand below `members`, or in `config`
 * where they are the same for all; they count when a part is made.
 */
export class MemberParts {
  private names: Promise<string[]> | undefined;

  constructor(private readonly invocation: Invocation, private readonly server: Server) {}

  /** What members have in common stays in `config`; alone there is one part, and it is the whole. */
  spread(wanted: Declaration): Declaration {
    const keys = memberKeys[wanted.kind];
    if (keys === undefined) return wanted;
    if (!this.server.clustered) {
      if (Object.keys(wanted.members).length > 0) throw invalid(`${wanted.place}: "members" is for clusters`);
      return wanted;
    }
    const entries = Object.entries(wanted.config);
    return { ...wanted, config: Object.fromEntries(entries.filter(([key]) => !keys.includes(key))), everyMember: Object.fromEntries(entries.filter(([key]) => keys.includes(key))) };
  }

  /** Whether it was begun and not finished, as by somebody who was interrupted. */
  isUnfinished(status: unknown): boolean {
    return this.server.clustered && (status === 'Pending' || status === 'Errored');
  }

  /** Defines what members do not have yet. `body` is the request for one server. @returns the request for the whole. */
  async define(wanted: Declaration, collection: string, body: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    if (!this.server.clustered) return body;
    const names = await this.memberNames();
    const unknown = Object.keys(wanted.members).find((name) => !names.includes(name));
    if (unknown !== undefined) throw invalid(`there is no member ${JSON.stringify(unknown)}`);
    const { config: _, ...rest } = body;
    for (const name of names) {
      const part = { ...rest, config: { ...wanted.everyMember, ...wanted.members[name] } };
      await this.invocation.run(this.server, 'POST', url([collection], { project: wanted.kind === 'network' ? wanted.project : undefined, target: name }), part).catch((error: unknown) => {
        if (!isDefined(error)) throw error;
      });
    }
    return body;
  }

  private memberNames(): Promise<string[]> {
    this.names ??= this.server.get<{ server_name: string }[]>(url(['cluster', 'members'], { recursion: 1 })).then((members) => members.map(({ server_name }) => server_name));
    return this.names;
  }
}

/** Somebody, or this command before it was interrupted, has defined the part. */
function isDefined(error: unknown): boolean {
  return AppError.is(error) && /already (defined|exists)/i.test(error.message);
}
