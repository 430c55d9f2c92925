import { Injectable } from '@nestjs/common';
import { invalid, notFound, notImplemented } from '#kernel';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkViews } from './network-views.service.js';

/** Kinds of things beside and below networks that LXD has and this server has none of. */
export type NetworkPart = 'zone';

/**
 * Answers for parts that cannot be made here: lists are empty, what is asked for by name does not exist, and making one is refused. A
 * bridge has no peers in LXD either.
 */
@Injectable()
export class NetworkParts {
  constructor(private readonly projects: NetworkProjects, private readonly views: NetworkViews) {}

  refusePeers(project: string, network: string): never {
    const { type } = this.views.loaded(project, network);
    throw invalid(`Network driver "${type}" does not support peering`);
  }

  listNone(project: string): never[] {
    this.projects.owner(project);
    return [];
  }

  refuse(project: string, part: NetworkPart): never {
    this.projects.owner(project);
    throw notImplemented(`Network ${part}s are not supported`);
  }

  absent(project: string, part: NetworkPart): never {
    this.projects.owner(project);
    throw notFound(`Network ${part} not found`);
  }
}
