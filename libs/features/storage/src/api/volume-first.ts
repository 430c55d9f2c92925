import { LookFirst } from '#platform/http';
import { VolumeRequests } from '../volume-requests.service.js';

/** A body that cannot be read is told only where project, pool and type of a volume are. */
export const volumeFirst = LookFirst(VolumeRequests, (volumes, { ctx, params, query }) => volumes.key(params['pool'] ?? '', params['type'] ?? '', ctx.project, params['name'] ?? '', query['target']));
