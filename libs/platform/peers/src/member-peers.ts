import type { Duplex } from 'node:stream';
import { credentials, Metadata, status, type Client, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { LocalMember, Logger, unavailable, type Requestor } from '#kernel';
import { Database } from '#platform/database';
import { parseListenAddress } from '#platform/http';
import { deadlineIn, fromServiceError } from '#platform/rpc';
import { LocalPeers, MemberLiveness, Peers, type PeerCallOptions, type PeerHandler, type PeerMember, type PeerStreamHandler } from '#ports';
import { FrameStream } from './frame-stream.js';
import { LaneReader } from './lane-reader.js';
import { MemberDirectory } from './member-directory.js';
import { maxMessageBytes, membersService, type CallRequest, type Frame } from './protocol.js';

const defaultTimeoutMs = 10_000;
const self: Requestor = { username: '', protocol: 'internal', address: '' };

const channelOptions = {
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // Node takes no IP address for a server name; the certificate is compared as a whole instead.
  'grpc.ssl_target_name_override': 'member.roost.internal',
  // A member that died without a word is noticed within three seconds.
  'grpc.keepalive_time_ms': 1500,
  'grpc.keepalive_timeout_ms': 1500,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 200,
};

type UnaryMethod = (request: CallRequest, metadata: Metadata, options: { deadline?: Date }, done: (error: ServiceError | null, reply: { reply: string }) => void) => { cancel(): void };

/** `Peers` over gRPC. Channels are opened on first use, follow a member's address, and are made anew when the cluster's certificate changes. */
@Injectable()
export class MemberPeers extends Peers implements OnApplicationShutdown {
  private readonly clients = new Map<number, { readonly address: string; readonly client: Client }>();
  private readonly here: LocalPeers;
  private readonly stop: () => void;

  constructor(
    private readonly directory: MemberDirectory,
    private readonly local: LocalMember,
    private readonly database: Database,
    private readonly liveness: MemberLiveness,
    private readonly logger: Logger,
  ) {
    super();
    this.here = new LocalPeers(local);
    this.stop = directory.onTlsChange(() => this.closeAll());
  }

  /** The handlers of this member, for the server that takes calls of the others. */
  get handlers(): LocalPeers {
    return this.here;
  }

  override async call<Reply>(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Reply> {
    if (memberId === this.local.id) return this.here.call(memberId, name, request, options);
    const client = this.client(memberId) as unknown as Record<string, UnaryMethod>;
    const { timeoutMs = defaultTimeoutMs, signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<{ reply: string }>();
    const call = client['call']!(this.request(name, request, options), new Metadata(), timeoutMs === 0 ? {} : { deadline: deadlineIn(timeoutMs) }, (error, reply) => {
      if (error) reject(error);
      else resolve(reply);
    });
    const cancel = (): void => call.cancel();
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return JSON.parse((await promise).reply) as Reply;
    } catch (error) {
      throw this.explain(memberId, error as ServiceError);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  override async openStream(memberId: number, name: string, request: object, options: PeerCallOptions = {}): Promise<Duplex> {
    if (memberId === this.local.id) return this.here.openStream(memberId, name, request, options);
    const client = this.client(memberId) as unknown as Record<string, () => ClientDuplexStream<Frame, Frame>>;
    const { timeoutMs = defaultTimeoutMs, signal, bulk = false } = options;
    const call = client['open']!();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    call.once('data', (frame: Frame) => {
      // What follows belongs to the stream, which is not there yet.
      call.pause();
      if (frame.opened) resolve(frame.lane ?? '');
      else reject(unavailable('The other member did not open the stream'));
    });
    call.once('error', reject);
    const timer = timeoutMs === 0 ? undefined : setTimeout(() => reject(unavailable('The other member did not answer in time')), timeoutMs);
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    call.write({ open: { ...this.request(name, request, options), bulk } });
    let lane: string;
    try {
      lane = await promise;
    } catch (error) {
      call.on('error', () => undefined);
      call.cancel();
      signal?.removeEventListener('abort', cancel);
      throw this.explain(memberId, error as ServiceError);
    } finally {
      clearTimeout(timer);
    }
    call.removeListener('error', reject);
    const stream = new FrameStream(call, (error) => this.explain(memberId, error as ServiceError), () => {
      signal?.removeEventListener('abort', cancel);
      call.on('error', () => undefined);
      // Ended both ways, or given up: either way nothing more is to come.
      call.end();
      setImmediate(() => call.cancel());
    });
    // A member of an earlier version knows no lanes.
    if (lane !== '') await this.useLane(stream, memberId, lane);
    return stream;
  }

  private async useLane(stream: FrameStream, memberId: number, token: string): Promise<void> {
    const { host, port } = parseListenAddress(this.directory.get(memberId).address);
    const { certificate, key, cluster } = this.directory.tls();
    const options = { host, port, cert: certificate, key, ca: cluster, checkServerIdentity: () => undefined };
    try {
      await stream.receiveOver((listener) => LaneReader.open(options, token, listener));
    } catch (error) {
      stream.on('error', () => undefined);
      stream.destroy(error as Error);
      throw error;
    }
  }

  override handle(name: string, handler: PeerHandler): void {
    this.here.handle(name, handler);
  }

  override handleStream(name: string, handler: PeerStreamHandler): void {
    this.here.handleStream(name, handler);
  }

  override others(): PeerMember[] {
    return this.directory.others();
  }

  override eventHubs(): readonly number[] {
    return this.directory.eventHubs();
  }

  override isOnline(memberId: number): boolean {
    return memberId === this.local.id || this.liveness.isOnline(memberId);
  }

  onApplicationShutdown(): void {
    this.stop();
    this.closeAll();
  }

  private request(name: string, request: object, { requestor = self }: PeerCallOptions): CallRequest {
    const { id, name: memberName } = this.local;
    return {
      caller: { memberId: id, memberName, incarnation: this.database.head.incarnation, requestor: JSON.stringify(requestor) },
      name, request: JSON.stringify(request),
    };
  }

  private explain(memberId: number, error: ServiceError): Error {
    if (error.code === undefined) return error;
    const known = fromServiceError(error);
    if (error.code !== status.UNAVAILABLE && error.code !== status.DEADLINE_EXCEEDED) return known;
    const name = this.directory.has(memberId) ? this.directory.get(memberId).name : String(memberId);
    this.logger.debug('A member does not answer', { member: name, error: known.message });
    return unavailable(`Member "${name}" does not answer: ${known.message}`, { cause: error });
  }

  private client(memberId: number): Client {
    const { address } = this.directory.get(memberId);
    const known = this.clients.get(memberId);
    if (known?.address === address) return known.client;
    known?.client.close();
    const { certificate, key, cluster } = this.directory.tls();
    const secure = credentials.createSsl(Buffer.from(cluster), Buffer.from(key), Buffer.from(certificate), { checkServerIdentity: () => undefined });
    const client = new (membersService())(address, secure, channelOptions);
    this.clients.set(memberId, { address, client });
    return client;
  }

  private closeAll(): void {
    for (const { client } of this.clients.values()) client.close();
    this.clients.clear();
  }
}
