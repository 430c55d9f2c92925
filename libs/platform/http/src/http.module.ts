import { Global, Module } from '@nestjs/common';
import { HttpServer } from './http-server.js';
import { RequestRouter } from './request-router.js';
import { WebSocketRouter } from './websocket-router.js';

/** Sockets and websocket routes for the whole app; needs the auth module and a global `Logger`. */
@Global()
@Module({ providers: [HttpServer, RequestRouter, WebSocketRouter], exports: [HttpServer, RequestRouter, WebSocketRouter] })
export class HttpModule {}
