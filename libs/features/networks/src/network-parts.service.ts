import { Injectable } from '@nestjs/common';
import { invalid, notFound, notImplemented } from '#kernel';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkViews } from './network-views.service.js';

/** Kinds of things beside and below networks that LXD has and this server has none of. */
export type NetworkPart = 'forward' | 'ACL' | 'zone';

/**
 * Answers for parts that cannot be made here: lists are empty, what is asked for by name does not exist, and making one is refused. A
 * bridge has no peers in LXD either.
 */
@Injectable()
export class NetworkParts {
  constructor(private readonly projects: NetworkProjects, private readonly views: NetworkViews) {}

  listForwards(project: string, network: string): never[] {
    this.bridge(project, network);
    return [];
  }

  refuseForward(project: string, network: string): never {
    this.bridge(project, network);
    throw notImplemented('Network forwards are not supported');
  }

  absentForward(project: string, network: string): never {
    this.bridge(project, network);
    throw notFound('Network forward not found');
  }

  private bridge(project: string, network: string): void {
    const { type } = this.views.loaded(project, network);
    if (type !== 'bridge') throw invalid(`Network driver "${type}" does not support forwards`);
  }

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
