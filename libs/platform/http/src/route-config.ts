import { RouteConfig } from '@nestjs/platform-fastify';

/** What this server wants to know of a route before it reads the request's body; kept in Fastify's route config. */
export interface ApiRouteConfig {
  readonly allowUntrusted?: boolean;
  readonly streaming?: boolean;
  readonly localOnly?: boolean;
  readonly decidesInTransaction?: boolean;
}

const collected = Symbol('roost:route-config');

/** Adds to the route's config; Nest's own decorator would replace what another decorator had put there. */
export function mergeRouteConfig(config: ApiRouteConfig): MethodDecorator {
  return (target, key, descriptor) => {
    const handler = descriptor.value as object;
    const merged = { ...(Reflect.getMetadata(collected, handler) as ApiRouteConfig | undefined), ...config };
    Reflect.defineMetadata(collected, merged, handler);
    RouteConfig(merged)(target, key as string, descriptor);
  };
}
