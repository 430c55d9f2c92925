import { Global, Module } from '@nestjs/common';
import { DaemonControl } from './daemon-control.js';
import { InternalController } from './internal.controller.js';
import { ServerConfigRepository } from './server-config.repository.js';
import { ServerConfig } from './server-config.service.js';
import { ServerInfo } from './server-info.service.js';
import { ServerController } from './server.controller.js';
import { ServerRoutes } from './server-routes.js';
import { ServerService } from './server.service.js';

@Global()
@Module({
  controllers: [ServerController, InternalController],
  providers: [ServerConfigRepository, ServerConfig, ServerInfo, ServerRoutes, ServerService, DaemonControl],
  exports: [ServerConfig, DaemonControl],
})
export class ServerModule {}
