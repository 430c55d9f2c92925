import { createParamDecorator, type ExecutionContext, type Type } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { internal, type RequestContext } from '#kernel';
import { rawBodyOf, type RawRequestBody } from './raw-body.js';
import { contextOf } from './request-context.js';
import { mergeRouteConfig, type ApiRouteConfig, type FirstLook, type NamedByRequest } from './route-config.js';

export { Body, Delete, Get, Head, Param, Patch, Post, Put, Query } from '@nestjs/common';
export type { RawRequestBody } from './raw-body.js';

function requestOf(context: ExecutionContext): FastifyRequest {
  return context.switchToHttp().getRequest<FastifyRequest>();
}

/** The request context: project of `?project=`, caller, and a signal that aborts when the client goes away. */
export const Ctx = createParamDecorator((_: unknown, context: ExecutionContext): RequestContext => contextOf(requestOf(context).raw));

/** The `If-Match` header, for `checkEtag`. */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext): string | undefined => requestOf(context).headers['if-match']);

/** One request header by its lower-case name; the first value where there are several. */
export const RequestHeader = createParamDecorator((name: string, context: ExecutionContext): string | undefined => {
  const value = requestOf(context).headers[name];
  return Array.isArray(value) ? value[0] : value;
});

/** All request headers, names in lower case. */
export const RequestHeaders = createParamDecorator((_: unknown, context: ExecutionContext): IncomingMessage['headers'] => requestOf(context).headers);

/** The unread body. The route must be marked with `@Streaming()`, which keeps the server from reading the body itself. */
export const RawBody = createParamDecorator((_: unknown, context: ExecutionContext): RawRequestBody => {
  const request = requestOf(context);
  if ((request.routeOptions.config as ApiRouteConfig).streaming !== true) throw internal('@RawBody() on a route without @Streaming()');
  return rawBodyOf(request);
});

/** The body is left unread, whatever its content type; take it with `@RawBody()`. No size limit applies. */
export function Streaming(): MethodDecorator {
  return mergeRouteConfig({ streaming: true });
}

/** Reachable without a trusted client; `ctx.trusted` tells. Everything else answers 403 `not authorized`. */
export function AllowUntrusted(): MethodDecorator {
  return mergeRouteConfig({ allowUntrusted: true });
}

/** Reachable on the unix socket only; refused (403) elsewhere. */
export function LocalOnly(): MethodDecorator {
  return mergeRouteConfig({ localOnly: true });
}

/**
 * What the handler answers rests on nothing but the request until its one transaction begins, and on what that read or wrote afterwards. So it need not wait for
 * what was written elsewhere before it: the append compares. For routes that this member answers whatever they name.
 */
export function DecidesInTransaction(): MethodDecorator {
  return mergeRouteConfig({ decidesInTransaction: true });
}

/**
 * A body that cannot be read is told only after `look` has found what the request names: a client that is wrong about both hears of the object, as from
 * LXD. Requests with a good body never come here; their handler looks itself.
 */
export function LookFirst<T>(service: Type<T>, look: (service: T, request: NamedByRequest) => unknown): MethodDecorator {
  return mergeRouteConfig({ firstLooks: [{ service, look } as FirstLook] });
}

/** Nothing may follow the JSON value in the body; elsewhere it is ignored, as LXD's decoder does it. */
export function WholeBody(): MethodDecorator {
  return mergeRouteConfig({ wholeBody: true });
}
