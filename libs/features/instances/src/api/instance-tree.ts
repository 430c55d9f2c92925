import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { internal } from '#kernel';
import type { InstanceType } from '#api-types';
import type { InstanceTree } from '../instances.service.js';

/** Instances answer under three names; the former two hold one type each. */
export const collections = ['/1.0/instances', '/1.0/containers', '/1.0/virtual-machines'];

const types: Readonly<Record<InstanceTree['collection'], InstanceType | null>> = {
  instances: null, containers: 'container', 'virtual-machines': 'virtual-machine',
};

/** Which of the three a request came through. */
export const Tree = createParamDecorator((_: unknown, context: ExecutionContext): InstanceTree => {
  return treeOf(context.switchToHttp().getRequest<FastifyRequest>().url);
});

export function treeOf(path: string): InstanceTree {
  const collection = (path.split(/[/?]/, 3)[2] ?? 'instances') as InstanceTree['collection'];
  return { collection, type: types[collection] ?? null };
}

/** The type a list is limited to: the collection's, or `instance-type=`. */
export function typeFilter(tree: InstanceTree, instanceType: string | undefined): InstanceType | null {
  if (tree.type !== null || !instanceType) return tree.type;
  if (instanceType !== 'container' && instanceType !== 'virtual-machine') throw internal('Invalid instance type');
  return instanceType;
}
