import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { isForwarded, type Identity } from '#platform/auth';

/** What is known of a request before its body is read. */
export interface RoutedRequest {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly project: string;
  /** Empty when the client sent none. */
  readonly contentType: string;
}

/** The id of the member that has to answer; null when any may. Throws to refuse the request. */
export type MemberResolver = (request: RoutedRequest) => number | null;

/** Sends requests on to other members; bound by platform/peers. */
export abstract class RequestForwarder {
  /** The request as it came, its body unread. Answers it, also when the member cannot be reached. */
  abstract forward(memberId: number, request: IncomingMessage, response: ServerResponse, identity: Identity): Promise<void>;
  /** An upgrade: everything after the request line and headers is passed on both ways. */
  abstract tunnel(memberId: number, request: IncomingMessage, socket: Duplex, head: Buffer, identity: Identity): Promise<void>;
}

/** What a request waits for so that it sees what was acknowledged anywhere before it; bound by the daemon. */
export type RequestBarrier = (ctx: RequestContext) => Promise<'fresh' | 'stale'>;

interface Route {
  readonly segments: readonly string[];
  readonly below: boolean;
  readonly resolve: MemberResolver;
}

/**
 * Which member answers a request. Features say it for their paths; what nobody claims is answered here. A request that a member sent on is answered
 * here whatever its path says, so it never goes round in circles.
 */
@Injectable()
export class RequestRouter {
  forwarder: RequestForwarder | null = null;
  /** Null as long as the member stands alone: nothing to wait for. */
  barrier: RequestBarrier | null = null;
  private readonly routes: Route[] = [];

  /** `pattern` as a route, `/1.0/instances/:name`; with `below`, everything underneath as well. The first that matches decides. */
  register(pattern: string, resolve: MemberResolver, options: { readonly below?: boolean } = {}): void {
    this.routes.push({ segments: pattern.split('/'), below: options.below ?? false, resolve });
  }

  /** Null = here. */
  memberFor(request: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly identity: Identity; readonly project: string }): number | null {
    if (this.forwarder === null || this.routes.length === 0 || isForwarded(request.identity, request.headers)) return null;
    const mark = request.url.indexOf('?');
    const path = mark < 0 ? request.url : request.url.slice(0, mark);
    const segments = path.split('/');
    for (const route of this.routes) {
      const params = match(route, segments);
      if (params === null) continue;
      const query = mark < 0 ? {} : Object.fromEntries(new URLSearchParams(request.url.slice(mark + 1)));
      return route.resolve({ method: request.method, path, params, query, project: request.project, contentType: request.headers['content-type'] ?? '' });
    }
    return null;
  }
}

function match({ segments, below }: Route, path: readonly string[]): Record<string, string> | null {
  if (path.length < segments.length || (path.length > segments.length && !below)) return null;
  const params: Record<string, string> = {};
  for (const [i, part] of segments.entries()) {
    const given = path[i]!;
    if (part.startsWith(':')) {
      if (given === '') return null;
      params[part.slice(1)] = decode(given);
    } else if (part !== given) return null;
  }
  return params;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
