import { Injectable } from '@nestjs/common';
import { HostInfo, type HostDescription } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** Facts about the host, as the local agent sees them. */
@Injectable()
export class RemoteHostInfo extends HostInfo {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async describeHost(): Promise<HostDescription> { return this.agent.call('Host', 'describeHost', {}); }

  override async describeResources(): Promise<Record<string, unknown>> {
    const reply = await this.agent.call<{ resourcesJson: string }>('Host', 'describeResources', {});
    return JSON.parse(reply.resourcesJson) as Record<string, unknown>;
  }

  override async loadKernelModules(names: readonly string[]): Promise<void> { await this.agent.call('Host', 'loadKernelModules', { names }); }
}
