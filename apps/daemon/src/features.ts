import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { EventsModule } from '#features/events';
import { WarningsModule } from '#features/warnings';

/** The nouns of the API this daemon serves. */
export function featureModules(): (Type | DynamicModule)[] {
  return [EventsModule, WarningsModule];
}

export async function startFeatures(_app: INestApplication, _requestShutdown: (force: boolean) => Promise<void>, recover: () => Promise<void>): Promise<void> {
  await recover();
}

export async function stopFeatures(_app: INestApplication): Promise<void> {}

export async function stopInstances(_app: INestApplication, _ctx: RequestContext, _force: boolean): Promise<void> {}
