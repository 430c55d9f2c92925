import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { forbidden, internal, notFound, type Logger } from '#kernel';
import { admit, originalIdentity, type Authenticator, type Identity } from '#platform/auth';
import { describeError, rawErrorResponse } from './error-response.js';
import { HttpRequestContext } from './request-context.js';
import type { RequestRouter } from './request-router.js';
import type { ProtocolRoute, UpgradeParams, UpgradeQuery, UpgradeRoute, WebSocketRouter } from './websocket-router.js';

const websocket = 'websocket';

/** Answers upgrade requests: who asks, which route, and only then the handshake. */
export class WebSocketUpgrades {
  /** Compression would cost more than the local sockets it saves; frames may be as large as the client likes to send. */
  private readonly sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: 64 * 1024 * 1024,
    skipUTF8Validation: true,
  });

  constructor(
    private readonly router: WebSocketRouter,
    private readonly authenticator: Authenticator,
    private readonly members: RequestRouter,
    private readonly logger: Logger,
  ) {}

  /** Whether the request is one for here; any other `Upgrade` header is ignored, as a server may. */
  wants(request: IncomingMessage): boolean {
    const protocol = request.headers.upgrade?.toLowerCase() ?? '';
    return protocol === websocket || this.router.matchProtocol(pathOf(request), protocol) !== undefined;
  }

  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (request.headers.upgrade?.toLowerCase() !== websocket) {
      this.handleProtocol(request, socket, head);
      return;
    }
    let accepted: WebSocket | undefined;
    const accept = (): Promise<WebSocket> =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(internal('Client disconnected before the websocket was accepted'));
        this.sockets.handleUpgrade(request, socket, head, (ws) => {
          accepted = ws;
          // Without a listener a connection that breaks would end the process.
          ws.on('error', () => ws.terminate());
          resolve(ws);
        });
      });
    this.serve(request, socket, head, accept).catch((error: unknown) => {
      const { status, body } = describeError(error, this.logger, request.url ?? '');
      if (accepted === undefined) {
        this.logger.debug('Refused a websocket', { url: withoutSecret(request.url), status, error: String(error) });
        if (!socket.destroyed) socket.end(rawErrorResponse(status, body));
      } else {
        this.logger.debug('Websocket handler failed', { url: withoutSecret(request.url), error: String(error) });
        accepted.close(1011);
      }
    });
  }

  private async serve(request: IncomingMessage, socket: Duplex, head: Buffer, accept: () => Promise<WebSocket>): Promise<void> {
    const found = this.router.match(pathOf(request));
    if (found === undefined) throw notFound('not found');
    const admitted = await this.admit(request, socket, head, found.route);
    if (admitted !== null) await found.route.handler(admitted.context, found.params, admitted.query, accept);
  }

  private handleProtocol(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    let accepted = false;
    const accept = (): Duplex => {
      if (socket.destroyed) throw internal('Client disconnected before the upgrade was accepted');
      accepted = true;
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\nConnection: Upgrade\r\n\r\n`);
      if (head.length > 0) socket.unshift(head);
      return socket;
    };
    this.serveProtocol(request, socket, head, accept).catch((error: unknown) => {
      const { status, body } = describeError(error, this.logger, request.url ?? '');
      if (accepted) socket.destroy();
      else if (!socket.destroyed) socket.end(rawErrorResponse(status, body));
    });
  }

  private async serveProtocol(request: IncomingMessage, socket: Duplex, head: Buffer, accept: () => Duplex): Promise<void> {
    const found: { route: ProtocolRoute; params: UpgradeParams } | undefined = this.router.matchProtocol(pathOf(request), request.headers.upgrade ?? '');
    if (found === undefined) throw notFound('not found');
    const admitted = await this.admit(request, socket, head, found.route);
    if (admitted !== null) await found.route.handler(admitted.context, found.params, admitted.query, accept);
  }

  /** Null when another member answers. @throws `forbidden` */
  private async admit(request: IncomingMessage, socket: Duplex, head: Buffer, route: Pick<UpgradeRoute, 'options'>): Promise<{ context: HttpRequestContext; query: UpgradeQuery } | null> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const query = Object.fromEntries(url.searchParams);
    const identity = originalIdentity(this.authenticator.identify(request.socket as Socket), request.headers);
    const project = query.project || 'default';
    const trusted = this.isAllowed(identity, route, url.pathname, project, query);
    const memberId = this.members.memberFor({ method: 'GET', url: request.url ?? '/', headers: request.headers, identity, project });
    if (memberId !== null) {
      await this.members.forwarder!.tunnel(memberId, request, socket, head, identity);
      return null;
    }
    return { context: new HttpRequestContext(request, project, trusted ? identity : { ...identity, trusted: false }, null), query };
  }

  /** True for a trusted caller, false for one the handler has to check itself; throws for the rest. */
  private isAllowed(identity: Identity, route: Pick<UpgradeRoute, 'options'>, path: string, project: string, query: UpgradeQuery): boolean {
    const question = { method: 'GET', path, project, allProjects: query['all-projects'] !== undefined };
    if (identity.trusted && admit(identity, question) === 'allow') return true;
    if (route.options.allowUntrusted === true) return false;
    throw forbidden('not authorized');
  }
}

/** The query may name what lets anybody in. */
function withoutSecret(url = ''): string {
  return url.split('?', 1)[0]!;
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?', 1)[0] ?? '';
}
