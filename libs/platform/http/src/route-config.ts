import type { Type } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { RequestContext } from '#kernel';

/** What a request names, before its body is looked at. */
export interface NamedByRequest {
  readonly ctx: RequestContext;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | undefined>>;
}

/** Throws when what a request names is not there. */
export interface FirstLook<T = unknown> {
  readonly service: Type<T>;
  readonly look: (service: T, request: NamedByRequest) => unknown;
}

/** What this server wants to know of a route before it reads the request's body; kept in Fastify's route config. */
export interface ApiRouteConfig {
  readonly allowUntrusted?: boolean;
  readonly streaming?: boolean;
  readonly localOnly?: boolean;
  readonly decidesInTransaction?: boolean;
  readonly wholeBody?: boolean;
  /** In this order. */
  readonly firstLooks?: readonly FirstLook[];
}

const collected = Symbol('roost:route-config');

/** Adds to the route's config; Nest's own decorator would replace what another decorator had put there. */
export function mergeRouteConfig(config: ApiRouteConfig): MethodDecorator {
  return (target, key, descriptor) => {
    const handler = descriptor.value as object;
    const before = Reflect.getMetadata(collected, handler) as ApiRouteConfig | undefined;
    const merged: { -readonly [K in keyof ApiRouteConfig]: ApiRouteConfig[K] } = { ...before, ...config };
    // Decorators are applied from the last to the first.
    if (config.firstLooks !== undefined) merged.firstLooks = [...config.firstLooks, ...(before?.firstLooks ?? [])];
    Reflect.defineMetadata(collected, merged, handler);
    RouteConfig(merged)(target, key as string, descriptor);
  };
}
