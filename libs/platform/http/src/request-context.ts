import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { internal, newUuid, type RequestContext, type Requestor } from '#kernel';
import { peerCertificateOf, type Identity, type PeerCertificate } from '#platform/auth';

/**
 * Context of one HTTP request. Signal, id and requestor are made on first use, because most requests need none of them.
 */
export class HttpRequestContext implements RequestContext {
  readonly trusted: boolean;
  unconfirmed = false;
  /** Projects of a restricted certificate; null for everybody else. Read by platform/auth's `mayAccessProject`. */
  readonly allowedProjects: readonly string[] | null;
  private controller: AbortController | undefined;
  private id: string | undefined;
  private who: Requestor | undefined;

  constructor(
    private readonly request: IncomingMessage,
    readonly project: string,
    readonly identity: Identity,
    /** Null for a websocket upgrade, whose connection ends with the session. */
    private readonly response: ServerResponse | null,
  ) {
    this.trusted = identity.trusted;
    this.allowedProjects = identity.allowedProjects;
  }

  get requestId(): string {
    return (this.id ??= newUuid());
  }

  get requestor(): Requestor {
    return (this.who ??= { username: this.identity.username, protocol: this.identity.protocol, address: this.identity.address });
  }

  /** The certificate of the TLS connection, trusted or not; null without one. */
  get peerCertificate(): PeerCertificate | null {
    const { socket } = this.request;
    return socket instanceof TLSSocket ? peerCertificateOf(socket) : null;
  }

  /** Aborts when the client goes away before its answer was sent. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = new AbortController();
      this.controller = controller;
      const { socket } = this.request;
      const { response } = this;
      if (socket.destroyed) controller.abort();
      else if (response === null) socket.once('close', () => controller.abort());
      // Connections are reused, so the response tells, which closes with each request.
      else response.once('close', () => response.writableFinished || controller.abort());
    }
    return this.controller.signal;
  }
}

const slot = Symbol('roost:context');

interface WithContext {
  [slot]?: HttpRequestContext;
}

export function setContext(request: IncomingMessage, context: HttpRequestContext): void {
  (request as IncomingMessage & WithContext)[slot] = context;
}

/** The context of a request that passed authentication; `internal` error otherwise. */
export function contextOf(request: IncomingMessage): HttpRequestContext {
  const context = (request as IncomingMessage & WithContext)[slot];
  if (context === undefined) throw internal('Request has no context');
  return context;
}
