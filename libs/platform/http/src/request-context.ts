import type { IncomingMessage } from 'node:http';
import { internal, newUuid, type RequestContext, type Requestor } from '#kernel';

/** How the caller may be restricted: null = no restriction, else the projects it may use. */
export type AllowedProjects = readonly string[] | null;

/**
 * Context of one HTTP request. The signal and the id are made on first use, because most requests need neither.
 */
export class HttpRequestContext implements RequestContext {
  private controller: AbortController | undefined;
  private id: string | undefined;

  constructor(
    private readonly request: IncomingMessage,
    readonly project: string,
    readonly requestor: Requestor,
    readonly trusted: boolean,
    /** Projects of a restricted certificate; null for everybody else. */
    readonly allowedProjects: AllowedProjects,
  ) {}

  get requestId(): string {
    return (this.id ??= newUuid());
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = new AbortController();
      this.controller = controller;
      const { socket } = this.request;
      if (socket.destroyed) controller.abort();
      else socket.once('close', () => controller.abort());
    }
    return this.controller.signal;
  }
}

const contexts = new WeakMap<IncomingMessage, HttpRequestContext>();

export function setContext(request: IncomingMessage, context: HttpRequestContext): void {
  contexts.set(request, context);
}

/** The context of a request that passed authentication; `internal` error otherwise. */
export function contextOf(request: IncomingMessage): HttpRequestContext {
  const context = contexts.get(request);
  if (context === undefined) throw internal('Request has no context');
  return context;
}
