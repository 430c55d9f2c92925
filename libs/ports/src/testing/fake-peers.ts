import { Duplex, duplexPair } from 'node:stream';
import { AppError, internal, messageOf, notFound, unavailable, type Requestor } from '#kernel';
import { Peers, type PeerCallOptions, type PeerCaller, type PeerHandler, type PeerMember, type PeerStreamHandler } from '../peers.port.js';

/** Members of one process that reach each other; `down` holds those that are known not to. */
export class FakePeerNetwork {
  readonly members = new Map<number, FakePeers>();
  readonly down = new Set<number>();
  /** Open streams and calls under way. */
  private readonly links = new Set<{ readonly ends: readonly number[]; readonly break: () => void }>();
  /** Cannot be reached, which nobody has noticed yet. */
  readonly unreachable = new Set<number>();
  /** Take calls and never answer. */
  readonly silent = new Set<number>();
  /** Numbers of members with the role `event-hub`. */
  hubs: readonly number[] = [];
  /** `2 instances.describe`: every call to another member, in order. */
  readonly calls: string[] = [];

  /** A member of the network; `others()` lists those that were added. */
  add(member: PeerMember): FakePeers {
    const peers = new FakePeers(this, member);
    this.members.set(member.id, peers);
    return peers;
  }

  /** The member does not answer any more; its open streams and the calls under way break. */
  cut(memberId: number): void {
    this.down.add(memberId);
    for (const link of this.links) if (link.ends.includes(memberId)) link.break();
  }

  heal(memberId: number): void {
    this.down.delete(memberId);
  }

  /** An answer, unless one of the members goes before it is there. */
  answer<T>(ends: readonly number[], reply: Promise<T>): Promise<T> {
    const lost = Promise.withResolvers<never>();
    const link = { ends, break: (): void => lost.reject(unavailable('The connection was lost')) };
    this.links.add(link);
    return Promise.race([reply, lost.promise]).finally(() => this.links.delete(link));
  }

  /** A stream between two members, as long as both can be reached. */
  join(ends: readonly number[]): [Duplex, Duplex] {
    const pair = duplexPair();
    const stream = { ends, break: (): void => pair.forEach((side) => void (side.destroyed || side.destroy(unavailable('The connection was lost')))) };
    this.links.add(stream);
    for (const side of pair) {
      side.once('close', () => {
        this.links.delete(stream);
        if (!side.readableEnded || !side.writableEnded) stream.break();
      });
    }
    return pair;
  }
}

/** `Peers` in memory. Requests and replies go through JSON, as between processes. One alone runs its own handlers. */
export class FakePeers extends Peers {
  private readonly handlers = new Map<string, PeerHandler>();
  private readonly streams = new Map<string, PeerStreamHandler>();

  constructor(
    private readonly network = new FakePeerNetwork(),
    /** Changed in place by specs that join or rename. */
    readonly member: PeerMember = { id: 1, name: 'none', address: '0.0.0.0' },
  ) {
    super();
  }

  override async call<Reply>(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Reply> {
    if (memberId !== this.member.id) this.network.calls.push(`${memberId} ${name}`);
    const handler = this.target(memberId).handlers.get(name);
    if (handler === undefined) throw notFound(`No handler for "${name}"`);
    if (memberId !== this.member.id && this.network.silent.has(memberId)) await silence(options);
    try {
      const reply = await this.network.answer([this.member.id, memberId], handler(copy(request) as never, this.caller(options)));
      return copy(reply ?? {}) as Reply;
    } catch (error) {
      // Only kind and words cross the wire.
      throw error instanceof AppError ? new AppError(error.kind, error.message) : internal(messageOf(error));
    }
  }

  override async openStream(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Duplex> {
    const handler = this.target(memberId).streams.get(name);
    if (handler === undefined) throw notFound(`No handler for "${name}"`);
    const [here, there] = this.network.join([this.member.id, memberId]);
    handler(copy(request) as never, there, this.caller(options)).catch((error: Error) => here.destroy(error));
    return here;
  }

  override handle(name: string, handler: PeerHandler): void {
    this.handlers.set(name, handler);
  }

  override handleStream(name: string, handler: PeerStreamHandler): void {
    this.streams.set(name, handler);
  }

  override others(): PeerMember[] {
    return [...this.network.members.values()].filter((peers) => peers !== this).map(({ member }) => member);
  }

  override eventHubs(): readonly number[] {
    return this.network.hubs;
  }

  override isOnline(memberId: number): boolean {
    return memberId === this.member.id || (this.network.members.has(memberId) && !this.network.down.has(memberId));
  }

  private target(memberId: number): FakePeers {
    if (memberId === this.member.id) return this;
    const peers = this.network.members.get(memberId);
    if (peers === undefined || [memberId, this.member.id].some((id) => this.network.down.has(id) || this.network.unreachable.has(id))) {
      throw unavailable(`Member ${memberId} cannot be reached`);
    }
    return peers;
  }

  private caller({ signal, requestor }: PeerCallOptions): PeerCaller {
    const nobody: Requestor = { username: '', protocol: 'internal', address: '' };
    return { memberId: this.member.id, memberName: this.member.name, requestor: requestor ?? nobody, signal: signal ?? new AbortController().signal };
  }
}

async function silence({ timeoutMs = 10_000, signal }: PeerCallOptions): Promise<never> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = timeoutMs === 0 ? undefined : setTimeout(resolve, timeoutMs);
  signal?.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  throw unavailable('The member did not answer in time');
}

function copy(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}
