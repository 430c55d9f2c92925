import { Global, Module } from '@nestjs/common';
import { EventBus } from './event-bus.js';
import { EventMesh } from './event-mesh.js';

/** One bus per process, available everywhere, and what joins it to those of the other members. */
@Global()
@Module({ providers: [EventBus, EventMesh], exports: [EventBus, EventMesh] })
export class EventBusModule {}
