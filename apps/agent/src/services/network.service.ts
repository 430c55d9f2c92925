import type { NetworkDriver, NetworkSpec, StaticLease } from '#ports';
import type { ServiceTable } from '#platform/rpc';

/** `roost.agent.v1.Network`, answered by the network port. */
export function networkService(networks: NetworkDriver): ServiceTable {
  const done = async (work: Promise<void>): Promise<object> => { await work; return {}; };
  type Network = { network: NetworkSpec };
  return {
    unary: {
      ensureNetwork: ({ network }: Network) => done(networks.ensureNetwork(network)),
      reconcileNetworks: async (r: { networks: NetworkSpec[] }) => ({ restored: await networks.reconcileNetworks(r.networks) }),
      removeNetwork: ({ network }: Network) => done(networks.removeNetwork(network)),
      stopNetwork: ({ network }: Network) => done(networks.stopNetwork(network)),
      renameNetwork: ({ network, newName }: Network & { newName: string }) => done(networks.renameNetwork(network, newName)),
      setStaticLease: (r: { networkName: string; lease: StaticLease }) => done(networks.setStaticLease(r.networkName, r.lease)),
      listLeases: async ({ network }: Network) => ({ leases: await networks.listLeases(network) }),
      describeInterfaces: async ({ name }: { name: string }) => ({ interfaces: await networks.describeInterfaces(name) }),
      listUsedSubnets: async () => ({ subnets: await networks.listUsedSubnets() }),
    },
  };
}
