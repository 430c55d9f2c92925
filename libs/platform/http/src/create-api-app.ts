import type { DynamicModule, INestApplication, LoggerService, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Logger } from '#kernel';
import { Authenticator } from '#platform/auth';
import { ApiAdapter } from './api.adapter.js';
import { BodyPipe } from './body.pipe.js';
import { ErrorFilter } from './error.filter.js';
import { HttpServer } from './http-server.js';
import { RequestRouter } from './request-router.js';
import { WebSocketRouter } from './websocket-router.js';

/** An application ready to listen: call `server.listenUnix(...)`, and `app.close()` at the end. */
export interface ApiApp {
  readonly app: INestApplication;
  readonly server: HttpServer;
  readonly adapter: ApiAdapter;
}

/**
 * Builds the Nest application around the API adapter and runs its start-up hooks. The root module must bring `HttpModule`,
 * `AuthModule`, a global `Logger` and the features. Nothing listens yet.
 */
export async function createApiApp(root: Type | DynamicModule): Promise<ApiApp> {
  const adapter = new ApiAdapter();
  // A start-up error belongs to the caller, who knows how to report it.
  const app = await NestFactory.create(root, adapter, { bodyParser: false, logger: new QuietNestLogger(), abortOnError: false });
  const logger = app.get(Logger);
  const server = app.get(HttpServer);
  adapter.bind({ authenticator: app.get(Authenticator), websockets: app.get(WebSocketRouter), router: app.get(RequestRouter), policy: server, logger, resolve: (service) => app.get(service, { strict: false }) });
  server.attach(adapter.requestListener);
  app.useGlobalPipes(new BodyPipe());
  app.useGlobalFilters(new ErrorFilter(adapter));
  await app.init();
  await adapter.getInstance().ready();
  return { app, server, adapter };
}

/** Nest's own messages tell about routes and modules, which operators did not ask for; its errors reach us as exceptions. */
class QuietNestLogger implements LoggerService {
  log(): void {}
  warn(): void {}
  debug(): void {}
  verbose(): void {}
  error(message: unknown): void {
    process.stderr.write(`${String(message)}\n`);
  }
}
