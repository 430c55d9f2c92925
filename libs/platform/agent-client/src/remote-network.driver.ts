import { Injectable } from '@nestjs/common';
import { NetworkDriver, type InterfaceState, type Lease, type NetworkSpec, type StaticLease } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** The network port, carried out by the local agent. */
@Injectable()
export class RemoteNetworkDriver extends NetworkDriver {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async ensureNetwork(network: NetworkSpec): Promise<void> { await this.call('ensureNetwork', { network }); }

  override async reconcileNetworks(networks: readonly NetworkSpec[]): Promise<string[]> {
    return (await this.call<{ restored: string[] }>('reconcileNetworks', { networks })).restored;
  }

  override async removeNetwork(network: NetworkSpec): Promise<void> { await this.call('removeNetwork', { network }); }
  override async stopNetwork(network: NetworkSpec): Promise<void> { await this.call('stopNetwork', { network }); }
  override async renameNetwork(network: NetworkSpec, newName: string): Promise<void> { await this.call('renameNetwork', { network, newName }); }
  override async setStaticLease(networkName: string, lease: StaticLease): Promise<void> { await this.call('setStaticLease', { networkName, lease }); }

  override async listLeases(network: NetworkSpec): Promise<Lease[]> {
    return (await this.call<{ leases: Lease[] }>('listLeases', { network })).leases;
  }

  override async describeInterfaces(name: string): Promise<InterfaceState[]> {
    return (await this.call<{ interfaces: InterfaceState[] }>('describeInterfaces', { name })).interfaces;
  }

  override async listUsedSubnets(): Promise<string[]> {
    return (await this.call<{ subnets: string[] }>('listUsedSubnets', {})).subnets;
  }

  private call<Reply>(method: string, request: object): Promise<Reply> { return this.agent.call<Reply>('Network', method, request); }
}
