import { Global, Module } from '@nestjs/common';
import { EventBus } from './event-bus.js';

/** One bus per process, available everywhere. */
@Global()
@Module({ providers: [EventBus], exports: [EventBus] })
export class EventBusModule {}
