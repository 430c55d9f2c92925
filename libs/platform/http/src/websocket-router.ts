import { Injectable } from '@nestjs/common';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { RequestContext } from '#kernel';

export type UpgradeParams = Readonly<Record<string, string>>;
export type UpgradeQuery = Readonly<Record<string, string>>;

/**
 * Serves one upgrade request. Until `accept` is called nothing has been answered: a thrown error becomes the usual envelope.
 * After it the handler owns the socket; a thrown error closes it.
 */
export type UpgradeHandler = (
  ctx: RequestContext,
  params: UpgradeParams,
  query: UpgradeQuery,
  accept: () => Promise<WebSocket>,
) => Promise<void>;

/** The same for another protocol than websockets: `accept` hands over the connection itself. */
export type ProtocolHandler = (ctx: RequestContext, params: UpgradeParams, query: UpgradeQuery, accept: () => Duplex) => Promise<void>;

export interface UpgradeOptions {
  /** The handler checks the caller itself (operation secrets). */
  readonly allowUntrusted?: boolean;
}

interface Route {
  readonly segments: readonly string[];
  readonly options: UpgradeOptions;
}

export interface UpgradeRoute extends Route {
  readonly handler: UpgradeHandler;
}

export interface ProtocolRoute extends Route {
  /** In lower case. */
  readonly protocol: string;
  readonly handler: ProtocolHandler;
}

/** Which paths accept websockets, or another protocol after an upgrade. Patterns read like routes: `/1.0/operations/:id/websocket`. */
@Injectable()
export class WebSocketRouter {
  private readonly routes: UpgradeRoute[] = [];
  private readonly protocols: ProtocolRoute[] = [];

  register(pattern: string, handler: UpgradeHandler, options: UpgradeOptions = {}): void {
    this.routes.push({ segments: pattern.split('/'), handler, options });
  }

  /** `protocol` is what the `Upgrade` header has to name. */
  registerProtocol(pattern: string, protocol: string, handler: ProtocolHandler, options: UpgradeOptions = {}): void {
    this.protocols.push({ segments: pattern.split('/'), protocol: protocol.toLowerCase(), handler, options });
  }

  /** The route for a path (no query), with its decoded parameters; undefined when no websocket lives there. */
  match(path: string): { route: UpgradeRoute; params: UpgradeParams } | undefined {
    return find(this.routes, path);
  }

  matchProtocol(path: string, protocol: string): { route: ProtocolRoute; params: UpgradeParams } | undefined {
    return find(this.protocols.filter((route) => route.protocol === protocol.toLowerCase()), path);
  }
}

function find<R extends Route>(routes: readonly R[], path: string): { route: R; params: UpgradeParams } | undefined {
  const segments = path.split('/');
  for (const route of routes) {
    const params = matchSegments(route.segments, segments);
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

function matchSegments(pattern: readonly string[], path: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== path.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    const given = path[i] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = decodeSegment(given);
    else if (part !== given) return undefined;
  }
  return params;
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
