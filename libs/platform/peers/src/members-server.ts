import type { TLSSocket } from 'node:tls';
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Logger, precondition, unavailable, type Requestor } from '#kernel';
import { Authenticator } from '#platform/auth';
import { ChangeFeed, Database } from '#platform/database';
import { HttpServer } from '#platform/http';
import { toServiceError } from '#platform/rpc';
import type { PeerCaller } from '#ports';
import { ByteLanes, laneProtocol } from './byte-lanes.js';
import { FrameStream } from './frame-stream.js';
import { LaneWriter } from './lane-writer.js';
import { MemberPeers } from './member-peers.js';
import { maxMessageBytes, membersService, type CallRequest, type Frame, type WireCaller } from './protocol.js';

/** The answering side of `Peers`: takes the connections of members that the HTTPS listeners hand over. */
@Injectable()
export class MembersServer implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly server = new Server({ 'grpc.max_receive_message_length': maxMessageBytes, 'grpc.max_send_message_length': maxMessageBytes, 'grpc.keepalive_time_ms': 5000, 'grpc.keepalive_timeout_ms': 3000 });
  private readonly injector;
  private readonly sockets = new Set<TLSSocket>();
  private readonly lanes = new ByteLanes();
  private stops: readonly (() => void)[] = [];
  private readonly strangers = new Set<(caller: { readonly memberId: number; readonly incarnation: string }) => void>();

  constructor(
    private readonly peers: MemberPeers,
    private readonly database: Database,
    private readonly http: HttpServer,
    private readonly authenticator: Authenticator,
    private readonly feed: ChangeFeed,
    private readonly logger: Logger,
  ) {
    this.server.addService(membersService().service, { call: (call: ServerUnaryCall<CallRequest, object>, done: sendUnaryData<object>) => this.take(call, done), open: (call: ServerDuplexStream<Frame, Frame>) => this.open(call) });
    this.injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Told when a member of another history calls (hazards A3). */
  onStranger(listener: (caller: { readonly memberId: number; readonly incarnation: string }) => void): () => void {
    this.strangers.add(listener);
    return () => this.strangers.delete(listener);
  }

  onApplicationBootstrap(): void {
    this.http.memberConnections = new Map([['h2', (socket) => this.accept(socket, () => this.injector.injectConnection(socket))], [laneProtocol, (socket) => this.accept(socket, () => this.lanes.accept(socket))]]);
    // Not in the feed's own turn: who is trusted is learnt there as well.
    const look = (): void => void setImmediate(() => this.dropStrangers());
    this.stops = [this.feed.subscribe(['nodes'], look), this.feed.onReset(look)];
  }

  onApplicationShutdown(): void {
    for (const stop of this.stops) stop();
    this.http.memberConnections = new Map();
    this.injector.destroy();
    this.server.forceShutdown();
    for (const socket of this.sockets) socket.destroy();
  }

  /** A member that was removed is not heard any more, on the connections it has either. */
  private dropStrangers(): void {
    for (const socket of this.sockets) if (this.authenticator.identify(socket).memberId === undefined) socket.destroy();
  }

  private accept(socket: TLSSocket, take: () => void): void {
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.sockets.delete(socket));
    take();
  }

  private take(call: ServerUnaryCall<CallRequest, object>, done: sendUnaryData<object>): void {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort());
    const { name, request } = call.request;
    this.dispatch(call.request, (caller) => this.peers.handlers.dispatch(name, JSON.parse(request), { ...caller, signal: abort.signal })).then(
      (reply) => done(null, { reply: JSON.stringify(reply) }),
      (error: unknown) => {
        this.logger.debug('Call of a member failed', { call: name, error: String(error) });
        done(toServiceError(error));
      },
    );
  }

  private open(call: ServerDuplexStream<Frame, Frame>): void {
    const fail = (error: unknown): void => {
      call.emit('error', toServiceError(error));
    };
    call.once('data', ({ open }: Frame) => {
      call.pause();
      if (!open) return fail(unavailable('A stream begins with its request'));
      const abort = new AbortController();
      call.on('cancelled', () => abort.abort());
      this.dispatch(open, async (caller) => {
        const handler = this.peers.handlers.streamHandler(open.name);
        let failure: Error | null = null;
        const stream = new FrameStream(call, (error) => error, () => {
          if (failure === null) setImmediate(() => call.end());
          else fail(failure);
        });
        const destroy = stream._destroy.bind(stream);
        // What the handler destroys its stream with is what the other side is told.
        stream._destroy = (error, finished) => {
          failure = error;
          destroy(error, finished);
        };
        stream.on('error', () => undefined);
        if (open.bulk === true) {
          const lane = this.lanes.expect();
          stream.sendOver(new LaneWriter(lane));
          call.write({ opened: true, lane: lane.token });
        } else call.write({ opened: true });
        handler(JSON.parse(open.request) as never, stream, { ...caller, signal: abort.signal }).catch((error: Error) => stream.destroy(error));
        return {};
      }).catch(fail);
    });
  }

  private async dispatch<T>({ caller }: CallRequest, run: (caller: Omit<PeerCaller, 'signal'>) => Promise<T>): Promise<T> {
    if (!caller) throw precondition('A member does not say who it is');
    this.checkHistory(caller);
    return run({ memberId: caller.memberId, memberName: caller.memberName, requestor: JSON.parse(caller.requestor) as Requestor });
  }

  private checkHistory({ incarnation, memberId, memberName }: WireCaller): void {
    const own = this.database.head.incarnation;
    if (incarnation === '' || incarnation === own) return;
    for (const listener of this.strangers) listener({ memberId, incarnation });
    throw precondition(`Member "${memberName}" belongs to another history of the cluster (${incarnation.slice(0, 8)} instead of ${own.slice(0, 8)})`, { details: { reason: 'incarnation', incarnation: own } });
  }
}
