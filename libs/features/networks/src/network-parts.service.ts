import { Injectable } from '@nestjs/common';
import { invalid, notFound, notImplemented } from '#kernel';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkViews } from './network-views.service.js';

/** Answers for zones, of which there are none here and none can be made, and for peers, which networks of these types have none of in LXD either. */
@Injectable()
export class NetworkParts {
  constructor(private readonly projects: NetworkProjects, private readonly views: NetworkViews) {}

  refusePeers(project: string, network: string): never {
    const { type } = this.views.loaded(project, network);
    throw invalid(`Network driver "${type}" does not support peering`);
  }

  listZones(project: string): never[] {
    this.projects.owner(project);
    return [];
  }

  refuseZone(project: string): never {
    this.projects.owner(project);
    throw notImplemented('Network zones are not supported');
  }

  absentZone(project: string): never {
    this.projects.owner(project);
    throw notFound('Network zone not found');
  }
}
