import { Injectable } from '@nestjs/common';
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

export interface UpgradeOptions {
  /** The handler checks the caller itself (operation secrets). */
  readonly allowUntrusted?: boolean;
}

export interface UpgradeRoute {
  readonly segments: readonly string[];
  readonly handler: UpgradeHandler;
  readonly options: UpgradeOptions;
}

/** Which paths accept websockets. Patterns read like routes: `/1.0/operations/:id/websocket`. */
@Injectable()
export class WebSocketRouter {
  private readonly routes: UpgradeRoute[] = [];

  register(pattern: string, handler: UpgradeHandler, options: UpgradeOptions = {}): void {
    this.routes.push({ segments: pattern.split('/'), handler, options });
  }

  /** The route for a path (no query), with its decoded parameters; undefined when no websocket lives there. */
  match(path: string): { route: UpgradeRoute; params: UpgradeParams } | undefined {
    const segments = path.split('/');
    for (const route of this.routes) {
      const params = matchSegments(route.segments, segments);
      if (params !== undefined) return { route, params };
    }
    return undefined;
  }
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
