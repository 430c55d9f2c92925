import { ProjectsService } from '#features/projects';
import { LookFirst } from '#platform/http';
import { InstancesService } from '../instances.service.js';
import { treeOf } from './instance-tree.js';

/** A body that cannot be read is told only for an instance that is there. */
export const instanceFirst = LookFirst(InstancesService, (instances, { ctx, params }) => instances.find(ctx.project, params['name'] ?? '', treeOf('/1.0/instances')));

export const projectFirst = LookFirst(ProjectsService, (projects, { ctx }) => projects.get(ctx.project));
