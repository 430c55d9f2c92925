import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { contextOf } from '#platform/http';

/** What a URL below `/1.0/storage-pools/:pool/volumes/:type/:name` names. */
export interface VolumeInUrl {
  readonly pool: string;
  readonly type: string;
  /** `?project=`. */
  readonly project: string;
  readonly name: string;
  /** `?target=`, a member; empty where none is named. */
  readonly target: string;
}

export const OneVolume = createParamDecorator((_: unknown, context: ExecutionContext): VolumeInUrl => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const { pool = '', type = '', name = '' } = request.params as Record<string, string | undefined>;
  const { target = '' } = request.query as Record<string, string | undefined>;
  return { pool, type, project: contextOf(request.raw).project, name, target };
});
