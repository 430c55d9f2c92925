import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { InstanceState } from '#api-types';
import { Peers } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { handleChecked } from './checked-handlers.js';
import { InstanceFacts } from './instance-facts.js';
import { InstanceRoutes } from './instance-routes.js';
import { InstanceStates } from './instance-states.js';
import { LocalReports } from './local-reports.js';

const position = z.object({ generation: z.string(), version: z.int() });
const describeRequest = z.object({ since: position.nullable() });
const usageRequest = z.object({ ids: z.array(z.int()) });

/** Answers the other members' questions about the instances of this one. */
@Injectable()
export class InstancePeers {
  constructor(
    private readonly peers: Peers,
    private readonly reports: LocalReports,
    private readonly catalog: InstanceCatalog,
    private readonly facts: InstanceFacts,
    private readonly states: InstanceStates,
    private readonly routes: InstanceRoutes,
  ) {}

  register(): void {
    this.routes.register();
    handleChecked(this.peers, 'instances.describe', describeRequest, ({ since }) => this.reports.since(since));
    handleChecked(this.peers, 'instances.describe-usage', usageRequest, async ({ ids }) => ({ states: await this.usage(ids) }));
  }

  private async usage(ids: readonly number[]): Promise<[number, InstanceState][]> {
    const instances = ids.map((id) => this.catalog.findById(id)).filter((instance): instance is ExpandedInstance => instance !== undefined && this.catalog.isLocal(instance));
    await this.facts.refresh(instances);
    return [...(await this.states.local(instances))].map(([{ row }, state]) => [row.id, state]);
  }
}
