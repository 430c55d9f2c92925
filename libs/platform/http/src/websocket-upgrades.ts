import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { forbidden, internal, notFound, type Logger } from '#kernel';
import { admit, originalIdentity, type Authenticator, type Identity } from '#platform/auth';
import { describeError, rawErrorResponse } from './error-response.js';
import { HttpRequestContext } from './request-context.js';
import type { RequestRouter } from './request-router.js';
import type { UpgradeQuery, UpgradeRoute, WebSocketRouter } from './websocket-router.js';

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

  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
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
    const url = new URL(request.url ?? '/', 'http://localhost');
    const found = this.router.match(url.pathname);
    if (found === undefined) throw notFound('not found');
    const query = Object.fromEntries(url.searchParams);
    const identity = originalIdentity(this.authenticator.identify(request.socket as Socket), request.headers);
    const project = query.project || 'default';
    const trusted = this.isAllowed(identity, found.route, url.pathname, project, query);
    const memberId = this.members.memberFor({ method: 'GET', url: request.url ?? '/', headers: request.headers, identity, project });
    if (memberId !== null) return this.members.forwarder!.tunnel(memberId, request, socket, head, identity);
    const context = new HttpRequestContext(request, project, trusted ? identity : { ...identity, trusted: false }, null);
    await found.route.handler(context, found.params, query, accept);
  }

  /** True for a trusted caller, false for one the handler has to check itself; throws for the rest. */
  private isAllowed(identity: Identity, route: UpgradeRoute, path: string, project: string, query: UpgradeQuery): boolean {
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
