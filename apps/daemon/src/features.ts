import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { EventsModule } from '#features/events';
import { PoolsService, StorageModule } from '#features/storage';
import { DaemonControl, ServerModule } from '#features/server';
import { WarningsModule } from '#features/warnings';

/** The nouns of the API this daemon serves. */
export function featureModules(): (Type | DynamicModule)[] {
  return [EventsModule, ServerModule, StorageModule, WarningsModule];
}

/**
 * Early start work, in the order things depend on each other. What a former process left half done is finished or undone before anything new
 * is started; the daemon is ready when instances are being handled.
 */
export async function startFeatures(app: INestApplication, requestShutdown: (force: boolean) => Promise<void>, recover: () => Promise<void>): Promise<void> {
  const control = app.get(DaemonControl);
  control.onShutdown(requestShutdown);
  await app.get(PoolsService).mountAll();
  await recover();
  control.markReady();
}

/** Before the application closes. Instances and networks stay as they are. */
export async function stopFeatures(_app: INestApplication): Promise<void> {}

/** For a clean shutdown of the machine or the daemon. */
export async function stopInstances(_app: INestApplication, _ctx: RequestContext, _force: boolean): Promise<void> {}
