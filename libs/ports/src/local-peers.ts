import { duplexPair, type Duplex } from 'node:stream';
import { notFound, unavailable, type Requestor } from '#kernel';
import { Peers, type PeerCallOptions, type PeerCaller, type PeerHandler, type PeerMember, type PeerStreamHandler } from './peers.port.js';

const self: Requestor = { username: '', protocol: 'internal', address: '' };

/** `Peers` of a member that has none: calls to itself run its handlers in place, everybody else is unavailable. */
export class LocalPeers extends Peers {
  private readonly handlers = new Map<string, PeerHandler>();
  private readonly streams = new Map<string, PeerStreamHandler>();

  constructor(private readonly member: { readonly id: number; readonly name: string }) {
    super();
  }

  override async call<Reply>(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Reply> {
    const handler = this.find(this.handlers, memberId, name);
    return ((await handler(request as never, this.caller(options))) ?? {}) as Reply;
  }

  override async openStream(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Duplex> {
    const handler = this.find(this.streams, memberId, name);
    const [here, there] = duplexPair();
    handler(request as never, there, this.caller(options)).catch((error: Error) => here.destroy(error));
    return here;
  }

  override handle(name: string, handler: PeerHandler): void {
    this.handlers.set(name, handler);
  }

  override handleStream(name: string, handler: PeerStreamHandler): void {
    this.streams.set(name, handler);
  }

  override others(): PeerMember[] {
    return [];
  }

  override isOnline(memberId: number): boolean {
    return memberId === this.member.id;
  }

  /** A call that came from another member. */
  async dispatch(name: string, request: unknown, caller: PeerCaller): Promise<object> {
    return (await this.find(this.handlers, this.member.id, name)(request as never, caller)) ?? {};
  }

  /** A stream that another member opens; throws `not-found` before anything is opened. */
  streamHandler(name: string): PeerStreamHandler {
    return this.find(this.streams, this.member.id, name);
  }

  private find<H>(handlers: ReadonlyMap<string, H>, memberId: number, name: string): H {
    if (memberId !== this.member.id) throw unavailable(`Member ${memberId} cannot be reached`);
    const handler = handlers.get(name);
    if (handler === undefined) throw notFound(`No handler for "${name}"`);
    return handler;
  }

  private caller({ signal, requestor }: PeerCallOptions): PeerCaller {
    return { memberId: this.member.id, memberName: this.member.name, requestor: requestor ?? self, signal: signal ?? new AbortController().signal };
  }
}
