import { Duplex, duplexPair } from 'node:stream';
import { AppError, internal, messageOf, notFound, unavailable, type Requestor } from '#kernel';
import { Peers, type PeerCallOptions, type PeerCaller, type PeerHandler, type PeerMember, type PeerStreamHandler } from '../peers.port.js';

/** Members of one process that reach each other; `down` holds those that do not answer. */
export class FakePeerNetwork {
  readonly members = new Map<number, FakePeers>();
  readonly down = new Set<number>();

  /** A member of the network; `others()` lists those that were added. */
  add(member: PeerMember): FakePeers {
    const peers = new FakePeers(this, member);
    this.members.set(member.id, peers);
    return peers;
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
    const handler = this.target(memberId).handlers.get(name);
    if (handler === undefined) throw notFound(`No handler for "${name}"`);
    try {
      const reply = await handler(copy(request) as never, this.caller(options));
      return copy(reply ?? {}) as Reply;
    } catch (error) {
      // Only kind and words cross the wire.
      throw error instanceof AppError ? new AppError(error.kind, error.message) : internal(messageOf(error));
    }
  }

  override async openStream(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Duplex> {
    const handler = this.target(memberId).streams.get(name);
    if (handler === undefined) throw notFound(`No handler for "${name}"`);
    const [here, there] = duplexPair();
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

  override isOnline(memberId: number): boolean {
    return memberId === this.member.id || (this.network.members.has(memberId) && !this.network.down.has(memberId));
  }

  private target(memberId: number): FakePeers {
    if (memberId === this.member.id) return this;
    const peers = this.network.members.get(memberId);
    if (peers === undefined || this.network.down.has(memberId) || this.network.down.has(this.member.id)) throw unavailable(`Member ${memberId} cannot be reached`);
    return peers;
  }

  private caller({ signal, requestor }: PeerCallOptions): PeerCaller {
    const nobody: Requestor = { username: '', protocol: 'internal', address: '' };
    return { memberId: this.member.id, memberName: this.member.name, requestor: requestor ?? nobody, signal: signal ?? new AbortController().signal };
  }
}

function copy(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}
