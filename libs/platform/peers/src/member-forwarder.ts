import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:tls';
import type { Duplex } from 'node:stream';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { forwardingHeaders, withoutForwarding, type Identity } from '#platform/auth';
import { encodeError, parseListenAddress, rawErrorResponse, RequestForwarder } from '#platform/http';
import { MemberDirectory } from './member-directory.js';

/** How long a member may take to accept a connection. */
const connectMs = 5000;
/** Only between two ends of one connection. */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'trailer'];

/** Passes requests on byte by byte: nothing is parsed and nothing kept, however large it is. */
@Injectable()
export class MemberForwarder extends RequestForwarder implements OnApplicationShutdown {
  private agent: Agent | undefined;
  private readonly stop: () => void;

  constructor(private readonly directory: MemberDirectory, private readonly logger: Logger) {
    super();
    this.stop = directory.onTlsChange(() => this.reset());
  }

  override forward(memberId: number, request: IncomingMessage, response: ServerResponse, identity: Identity): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { name, address } = this.directory.get(memberId);
    const { host, port } = parseListenAddress(address);
    const fail = (error: unknown): void => {
      this.logger.debug('Failed forwarding a request', { member: name, url: request.url ?? '', error: messageOf(error) });
      if (response.headersSent) response.destroy();
      else response.writeHead(503, { 'Content-Type': 'application/json' }).end(encodeError(503, this.unreachable(address, error)));
      resolve();
    };
    const outgoing = httpsRequest({
      agent: this.connections(), host, port, method: request.method, path: request.url, headers: { ...this.headersOf(request), ...forwardingHeaders(identity) },
    });
    const connecting = setTimeout(() => outgoing.destroy(new Error('i/o timeout')), connectMs);
    outgoing.once('socket', (socket) => {
      // A pooled connection is connected already.
      if (!socket.connecting) clearTimeout(connecting);
      else socket.once('secureConnect', () => clearTimeout(connecting));
    });
    outgoing.once('response', (answer) => {
      clearTimeout(connecting);
      const headers = { ...answer.headers };
      for (const header of hopByHop) delete headers[header];
      response.writeHead(answer.statusCode ?? 502, headers);
      answer.pipe(response);
      answer.once('error', fail);
      response.once('close', () => {
        outgoing.destroy();
        resolve();
      });
    });
    outgoing.once('error', (error) => {
      clearTimeout(connecting);
      fail(error);
    });
    request.once('aborted', () => outgoing.destroy());
    request.pipe(outgoing);
    return promise;
  }

  override async tunnel(memberId: number, request: IncomingMessage, socket: Duplex, head: Buffer, identity: Identity): Promise<void> {
    const { address } = this.directory.get(memberId);
    const { host, port } = parseListenAddress(address);
    const { certificate, key, cluster } = this.directory.tls();
    const other = connect({ host, port, cert: certificate, key, ca: cluster, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'], timeout: connectMs });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    other.once('secureConnect', resolve);
    other.once('timeout', () => reject(new Error('i/o timeout')));
    other.once('error', reject);
    try {
      await promise;
    } catch (error) {
      other.destroy();
      socket.end(rawErrorResponse(503, encodeError(503, this.unreachable(address, error))));
      return;
    }
    other.setTimeout(0);
    const headers = { ...withoutForwarding(request.headers), ...forwardingHeaders(identity) };
    const lines = Object.entries(headers).flatMap(([name, value]) => [value ?? []].flat().map((one) => `${name}: ${one}`));
    other.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    if (head.length > 0) other.write(head);
    for (const [from, to] of [[socket, other], [other, socket]] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.once('close', () => to.destroy());
    }
  }

  onApplicationShutdown(): void {
    this.stop();
    this.reset();
  }

  private headersOf(request: IncomingMessage): Record<string, string | string[] | undefined> {
    const headers = withoutForwarding(request.headers);
    for (const header of hopByHop) delete headers[header];
    return headers;
  }

  private unreachable(address: string, error: unknown): string {
    return `Failed to connect to member: dial tcp ${address}: ${messageOf(error)}`;
  }

  private connections(): Agent {
    if (this.agent) return this.agent;
    const { certificate, key, cluster } = this.directory.tls();
    // The only certificate trusted is the cluster's own, so its names do not matter.
    this.agent = new Agent({ keepAlive: true, maxFreeSockets: 32, cert: certificate, key, ca: cluster, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'] });
    return this.agent;
  }

  private reset(): void {
    this.agent?.destroy();
    this.agent = undefined;
  }
}
