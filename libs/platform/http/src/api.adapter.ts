import type { Type } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { createServer, type RequestListener } from 'node:http';
import type { Readable } from 'node:stream';
import { forbidden, internal, invalid, messageOf, notFound, notImplemented, type Logger } from '#kernel';
import { admit, originalIdentity, type Authenticator, type Identity } from '#platform/auth';
import type { CorsSettings } from './cors.js';
import { describeError, encodeError } from './error-response.js';
import { maxJsonBytes, readText } from './json-body.js';
import { parseJsonBody, parseWholeJsonBody } from './json-syntax.rules.js';
import { isAllProjects } from './query-parameters.js';
import { declaredSizeOf } from './raw-body.js';
import { isOfBody, ofBody } from './refused-bodies.js';
import { contextOf, HttpRequestContext, setContext } from './request-context.js';
import type { RequestRouter } from './request-router.js';
import type { ApiRouteConfig, FirstLook, NamedByRequest } from './route-config.js';
import { sendJson, sendResult } from './send-response.js';
import type { WebSocketRouter } from './websocket-router.js';

/** What the adapter needs from the application; bound once the container exists. */
export interface AdapterServices {
  readonly authenticator: Authenticator;
  readonly websockets: WebSocketRouter;
  readonly router: RequestRouter;
  /** What the configuration says about access; read for each request. */
  readonly policy: { readonly cors: CorsSettings; readonly openPaths: readonly string[] };
  readonly logger: Logger;
  /** A provider of the application. */
  readonly resolve: <T>(service: Type<T>) => T;
}

/** Headers a handler may have set for the answer that is not sent. */
const describesBody = ['content-length', 'content-encoding', 'content-disposition', 'etag', 'location'];

type Done = (error?: Error | null, body?: unknown) => void;

/** No route has a schema for Fastify. */
function noSchemas(): never {
  throw internal('Routes are not checked by JSON schemas');
}

/**
 * Fastify below Nest, shaped for one API: every result leaves in LXD's envelope without an interceptor, every request is
 * authenticated before its body is read, and bodies are JSON whatever their content type says, unless the route streams.
 */
export class ApiAdapter extends FastifyAdapter {
  private services: AdapterServices | undefined;
  private listener: RequestListener | undefined;
  private readonly routes: { method: string; segments: string[] }[] = [];

  constructor() {
    let listener: RequestListener | undefined;
    const instance: unknown = fastify({
      logger: false,
      exposeHeadRoutes: false,
      bodyLimit: maxJsonBytes,
      forceCloseConnections: false,
      routerOptions: { maxParamLength: 4096 },
      // Bodies are checked by `BodyPipe`. Without these Fastify loads compilers for JSON schemas, a tenth of all code.
      schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
      frameworkErrors: (error, _request, reply) => {
        sendJson(reply as unknown as FastifyReply, 400, encodeError(400, error.message));
      },
      // The server made here never listens: listeners of every kind share this handler.
      serverFactory: (handler) => {
        listener = handler as RequestListener;
        return createServer();
      },
    });
    super(Object.assign(instance as FastifyInstance, { skipMiddie: true }) as never);
    this.listener = listener;
    this.configure(instance as FastifyInstance);
  }

  /** Handles one HTTP request; give it to any number of servers. */
  get requestListener(): RequestListener {
    if (this.listener === undefined) throw internal('Fastify made no server');
    return this.listener;
  }

  bind(services: AdapterServices): void {
    this.services = services;
  }

  override reply(reply: FastifyReply, result: unknown): FastifyReply {
    sendResult(reply, result);
    return reply;
  }

  /** Nest hands over its own handler; ours knows the envelope. */
  override setErrorHandler(): never {
    return undefined as never;
  }

  override setNotFoundHandler(): never {
    return undefined as never;
  }

  /** Sends anything thrown as the error envelope; a body's fault only when nothing comes before it. */
  sendError(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    const { firstLooks = [], wholeBody } = request.routeOptions.config as ApiRouteConfig;
    if (!isOfBody(error)) return this.send(request, reply, error);
    if (firstLooks.length > 0) void this.look(request, firstLooks).then(() => error, (missing: unknown) => missing).then((what) => this.send(request, reply, what));
    else this.send(request, reply, wholeBody === true && messageOf(error) === 'EOF' ? invalid('unexpected end of JSON input') : error);
  }

  private async look(request: FastifyRequest, looks: readonly FirstLook[]): Promise<void> {
    const named: NamedByRequest = { ctx: contextOf(request.raw), params: request.params as Record<string, string>, query: request.query as Record<string, string> };
    for (const { service, look } of looks) await look(this.bound().resolve(service), named);
  }

  private send(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    if (reply.sent) {
      this.bound().logger.error('Request failed after its answer had begun', { url: request.url, error: String(error) });
      reply.raw.destroy();
      return;
    }
    const { status, body } = describeError(error, this.bound().logger, request.url);
    for (const name of describesBody) reply.removeHeader(name);
    // The rest of a body nobody wants would otherwise be read to keep the connection.
    if (status === 413) reply.header('Connection', 'close');
    reply.header('X-Content-Type-Options', 'nosniff');
    sendJson(reply, status, body);
  }

  private bound(): AdapterServices {
    if (this.services === undefined) throw internal('The HTTP adapter is not bound yet');
    return this.services;
  }

  private configure(instance: FastifyInstance): void {
    instance.removeAllContentTypeParsers();
    instance.addContentTypeParser('*', (request, payload, done) => this.readBody(request, payload, done as Done));
    instance.addHook('onRoute', (route) => {
      for (const method of [route.method].flat()) this.routes.push({ method, segments: route.url.split('/') });
    });
    instance.addHook('onRequest', (request, reply, done) => {
      try {
        const identity = this.admit(request, reply);
        if (this.bound().router.barrier === null) done();
        else this.route(request, reply, identity).then((here) => here && done(), (error: unknown) => done(error as Error));
      } catch (error) {
        done(error as Error);
      }
    });
    instance.setErrorHandler((error, request, reply) => this.sendError(request, reply, error));
    instance.setNotFoundHandler((request, reply) => this.answerUnrouted(request, reply));
  }

  /** Who asks, for which project, and may they? Runs before the body is read. */
  private admit(request: FastifyRequest, reply: FastifyReply): Identity {
    const { raw } = request;
    const identity = originalIdentity(this.bound().authenticator.identify(raw.socket), raw.headers);
    const project = projectOf(request.query);
    const { policy } = this.bound();
    if (policy.cors.origin !== '' && raw.headers.origin !== undefined) sendCors(reply, policy.cors);
    const route = request.is404 ? unrouted : (request.routeOptions.config as ApiRouteConfig);
    const confined = confine(identity, route, request, project, policy.openPaths);
    setContext(raw, new HttpRequestContext(raw, project, confined, reply.raw));
    return confined;
  }

  /** In a cluster: waits until what was acknowledged anywhere is seen here, and sends the request on if another member has to answer it. True = here. */
  private async route(request: FastifyRequest, reply: FastifyReply, identity: Identity): Promise<boolean> {
    const { router } = this.bound();
    const { raw } = request;
    if (!identity.trusted || !raw.url?.startsWith('/1.0')) return true;
    const context = contextOf(raw);
    if (!request.is404 && (request.routeOptions.config as ApiRouteConfig).decidesInTransaction === true) {
      context.unconfirmed = true;
      return true;
    }
    if ((await router.barrier?.(context)) === 'stale') reply.header('X-Roost-Stale', '1');
    const memberId = router.memberFor({ method: request.method, url: raw.url, headers: raw.headers, identity, project: context.project });
    if (memberId === null) return true;
    reply.hijack();
    await router.forwarder!.forward(memberId, raw, reply.raw, identity);
    return false;
  }

  private readBody(request: FastifyRequest, payload: Readable, done: Done): void {
    const route = request.routeOptions.config as ApiRouteConfig;
    if (route.streaming === true) {
      done(null, payload);
      return;
    }
    readText(payload, declaredSizeOf(request)).then(
      (text) => {
        try {
          if (route.wholeBody === true) done(null, parseWholeJsonBody(text));
          else done(null, text === '' ? undefined : parseJsonBody(text));
        } catch (error) {
          done(ofBody(error) as Error);
        }
      },
      (error: unknown) => done(error as Error),
    );
  }

  /** No route: the path may exist for other methods, or for websockets only. */
  private answerUnrouted(request: FastifyRequest, reply: FastifyReply): void {
    const path = request.url.split('?', 1)[0] ?? '';
    const isWebSocket = this.bound().websockets.match(path) !== undefined;
    if (!isWebSocket && !this.hasPath(path)) return this.sendError(request, reply, notFound('not found'));
    if (request.method === 'OPTIONS') {
      void reply.code(200).send();
      return;
    }
    if (!contextOf(request.raw).trusted) return this.sendError(request, reply, forbidden('not authorized'));
    if (isWebSocket && request.method === 'GET') {
      void reply.code(400).headers({ 'Content-Type': 'text/plain; charset=utf-8', 'Sec-Websocket-Version': '13', 'X-Content-Type-Options': 'nosniff' });
      void reply.send('Bad Request\n');
      return;
    }
    this.sendError(request, reply, notImplemented('not implemented'));
  }

  private hasPath(path: string): boolean {
    const segments = path.split('/');
    return this.routes.some(
      (route) => route.segments.length === segments.length && route.segments.every((part, i) => part === segments[i] || (part.startsWith(':') && segments[i] !== '')),
    );
  }
}

function sendCors(reply: FastifyReply, { origin, methods, headers, credentials }: CorsSettings): void {
  reply.header('Access-Control-Allow-Origin', origin);
  if (methods !== '') reply.header('Access-Control-Allow-Methods', methods);
  if (headers !== '') reply.header('Access-Control-Allow-Headers', headers);
  if (credentials) reply.header('Access-Control-Allow-Credentials', 'true');
}

const unrouted: ApiRouteConfig = { allowUntrusted: true };

function projectOf(query: unknown): string {
  const given = (query as Record<string, unknown> | null)?.project;
  return typeof given === 'string' && given !== '' ? given : 'default';
}

/** The identity a handler sees; `forbidden` when the caller may not use the route at all. */
function confine(identity: Identity, route: ApiRouteConfig, request: FastifyRequest, project: string, openPaths: readonly string[]): Identity {
  if (!identity.trusted) {
    if (openPaths.includes(request.routeOptions.url ?? '')) return { ...identity, trusted: true };
    if (route.allowUntrusted !== true) throw forbidden('not authorized');
    return identity;
  }
  if (route.localOnly === true && identity.protocol !== 'unix') throw forbidden('not authorized');
  if (identity.allowedProjects === null && identity.certificateType !== 'metrics') return identity;
  const admission = admit(identity, {
    method: request.method,
    path: request.routeOptions.url ?? request.url,
    project,
    allProjects: isAllProjects(request.query as Record<string, unknown>),
    objectName: (request.params as Record<string, string> | null)?.name,
  });
  if (admission === 'allow') return identity;
  if (route.allowUntrusted !== true) throw forbidden('not authorized');
  return { ...identity, trusted: false };
}
