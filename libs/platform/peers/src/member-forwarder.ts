import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:tls';
import type { Duplex } from 'node:stream';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { forwardingHeaders, withoutForwarding, type Identity } from '#platform/auth';
import { EventMesh } from '#platform/events';
import { encodeError, parseListenAddress, rawErrorResponse, RequestForwarder } from '#platform/http';
import { MemberDirectory } from './member-directory.js';

/** How long a member may take to accept a connection. */
const connectMs = 5000;
/** When it is looked whether a broken stream of events is whole again, before what is under way with its member is given up. */
const graceMs = 1100;
/** How long a member whose stream is broken may take to show that it is back, and how long that it did not is believed. */
const probeMs = 300;
const disbeliefMs = 1000;
/** Only between two ends of one connection. */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'trailer'];
/** LXD's words, and its status, for a member that is not there. */
const notThere = 'Missing event connection with target cluster member';

/**
 * Passes requests on byte by byte: nothing is parsed and nothing kept, however large it is. A member that fell silent keeps nobody waiting: the mesh of
 * events notices within seconds, after which requests are refused at once and those under way end.
 */
@Injectable()
export class MemberForwarder extends RequestForwarder implements OnApplicationShutdown {
  private readonly agents = new Map<number, Agent>();
  private readonly underWay = new Map<number, Set<() => void>>();
  private readonly silent = new Map<number, number>();
  private readonly stops: readonly (() => void)[];

  constructor(
    private readonly directory: MemberDirectory,
    private readonly mesh: EventMesh,
    private readonly logger: Logger,
  ) {
    super();
    this.stops = [directory.onTlsChange(() => this.renew()), mesh.listen({ lost: (id) => this.giveUpLater(id) })];
  }

  override async forward(memberId: number, request: IncomingMessage, response: ServerResponse, identity: Identity): Promise<void> {
    if (await this.isGone(memberId)) {
      response.writeHead(500, { 'Content-Type': 'application/json' }).end(encodeError(500, notThere));
      return;
    }
    await this.pass(memberId, request, response, identity);
  }

  private pass(memberId: number, request: IncomingMessage, response: ServerResponse, identity: Identity): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { name, address } = this.directory.get(memberId);
    const { host, port } = parseListenAddress(address);
    let connected = false;
    const fail = (error: unknown): void => {
      this.logger.debug('Failed forwarding a request', { member: name, url: request.url ?? '', error: messageOf(error) });
      const message = connected ? interrupted(request, address) : notThere;
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { 'Content-Type': 'application/json' }).end(encodeError(500, message));
      resolve();
    };
    const outgoing = httpsRequest({
      agent: this.connections(memberId), host, port, method: request.method, path: request.url, headers: { ...this.headersOf(request), ...forwardingHeaders(identity) },
    });
    const ended = this.track(memberId, () => outgoing.destroy(new Error('The member fell silent')));
    const connecting = setTimeout(() => outgoing.destroy(new Error('i/o timeout')), connectMs);
    const isConnected = (): void => {
      connected = true;
      clearTimeout(connecting);
    };
    outgoing.once('socket', (socket) => {
      // A pooled connection is connected already.
      if (!socket.connecting) isConnected();
      else socket.once('secureConnect', isConnected);
    });
    outgoing.once('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
      answer.pipe(response);
      answer.once('error', fail);
    });
    outgoing.once('error', fail);
    outgoing.once('close', () => {
      clearTimeout(connecting);
      ended();
    });
    response.once('close', () => {
      outgoing.destroy();
      resolve();
    });
    request.pipe(outgoing);
    return promise;
  }

  override async tunnel(memberId: number, request: IncomingMessage, socket: Duplex, head: Buffer, identity: Identity): Promise<void> {
    const { address } = this.directory.get(memberId);
    const { host, port } = parseListenAddress(address);
    const { certificate, key, cluster } = this.directory.tls();
    const refuse = (): void => void socket.end(rawErrorResponse(500, encodeError(500, notThere)));
    if (await this.isGone(memberId)) return refuse();
    const other = connect({ host, port, cert: certificate, key, ca: cluster, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'], timeout: connectMs });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    other.once('secureConnect', resolve);
    other.once('timeout', () => reject(new Error('i/o timeout')));
    other.once('error', reject);
    try {
      await promise;
    } catch (error) {
      this.logger.debug('Failed reaching a member for a websocket', { member: memberId, error: messageOf(error) });
      other.destroy();
      return refuse();
    }
    other.setTimeout(0);
    other.setNoDelay(true);
    const headers = { ...withoutForwarding(request.headers), ...forwardingHeaders(identity) };
    const lines = Object.entries(headers).flatMap(([name, value]) => [value ?? []].flat().map((one) => `${name}: ${one}`));
    other.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    if (head.length > 0) other.write(head);
    const ended = this.track(memberId, () => other.destroy());
    other.once('close', ended);
    for (const [from, to] of [[socket, other], [other, socket]] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.once('close', () => to.destroy());
    }
  }

  /**
   * The stream of events of a member that was started again is opened a little later than the member answers; so whoever seems lost is asked. That it did
   * not answer is believed for a while, so that requests are refused at once.
   */
  private async isGone(memberId: number): Promise<boolean> {
    if (!this.mesh.hasLost(memberId)) return false;
    if (performance.now() - (this.silent.get(memberId) ?? -Infinity) < disbeliefMs) return true;
    const { host, port } = parseListenAddress(this.directory.get(memberId).address);
    const { certificate, key, cluster } = this.directory.tls();
    const socket = connect({ host, port, cert: certificate, key, ca: cluster, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'] });
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), probeMs);
    socket.once('secureConnect', () => resolve(true));
    socket.once('error', () => resolve(false));
    const answered = await promise;
    clearTimeout(timer);
    socket.destroy();
    if (answered) {
      this.silent.delete(memberId);
      this.mesh.heardOf(memberId);
      return false;
    }
    this.silent.set(memberId, performance.now());
    this.logger.debug('A member is taken for gone', { member: memberId });
    return true;
  }

  onApplicationShutdown(): void {
    for (const stop of this.stops) stop();
    for (const agent of this.agents.values()) agent.destroy();
  }

  private headersOf(request: IncomingMessage): Record<string, string | string[] | undefined> {
    const headers = withoutForwarding(request.headers);
    for (const header of hopByHop) delete headers[header];
    // Without it a body of unknown length would be sent without an end by methods that seldom have one.
    return request.headers['transfer-encoding'] === undefined ? headers : { ...headers, 'transfer-encoding': 'chunked' };
  }

  /** Returns what forgets it again. */
  private track(memberId: number, giveUp: () => void): () => void {
    const set = this.underWay.get(memberId) ?? new Set();
    this.underWay.set(memberId, set.add(giveUp));
    return () => {
      set.delete(giveUp);
      if (set.size === 0 && this.underWay.get(memberId) === set) this.underWay.delete(memberId);
    };
  }

  private giveUpLater(memberId: number): void {
    setTimeout(() => {
      if (this.mesh.connected(memberId)) return;
      // Connections in the pool may be dead without knowing it.
      this.agents.get(memberId)?.destroy();
      this.agents.delete(memberId);
      for (const giveUp of this.underWay.get(memberId) ?? []) giveUp();
    }, graceMs).unref();
  }

  private connections(memberId: number): Agent {
    const known = this.agents.get(memberId);
    if (known) return known;
    const { certificate, key, cluster } = this.directory.tls();
    // The only certificate trusted is the cluster's own, so its names do not matter.
    const agent = new Agent({ keepAlive: true, maxFreeSockets: 32, cert: certificate, key, ca: cluster, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'] });
    this.agents.set(memberId, agent);
    return agent;
  }

  /** New requests get new connections; those under way go on. */
  private renew(): void {
    const former = [...this.agents.values()];
    this.agents.clear();
    for (const agent of former) {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }
}

/** Names as the member wrote them. */
function endToEnd(raw: readonly string[]): string[] {
  return raw.filter((_, i) => !hopByHop.includes(raw[i - (i % 2)]!.toLowerCase()));
}

/** As Go's client says that a connection ended before the answer. */
function interrupted({ method = 'GET', url = '' }: IncomingMessage, address: string): string {
  return `${method.charAt(0)}${method.slice(1).toLowerCase()} "https://${address}${url}": EOF`;
}
