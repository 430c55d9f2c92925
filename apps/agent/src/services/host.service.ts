import type { HostInfo } from '#ports';
import type { ServiceTable } from '#platform/rpc';

/** What the agent says of itself; the daemon decides on it whether to keep an agent it found. */
export interface AgentIdentity {
  readonly pid: number;
  readonly protocol: number;
  readonly build: string;
  readonly stateId: string;
  /** Inode numbers of the namespaces the agent lives in (hazards B3). */
  readonly mountNamespace: number;
  readonly networkNamespace: number;
}

/** `roost.agent.v1.Host`: facts about the host, and the agent's own life. */
export function hostService(host: HostInfo, identity: AgentIdentity, shutdown: () => void): ServiceTable {
  return {
    unary: {
      hello: async () => identity,
      describeHost: () => host.describeHost(),
      describeResources: async () => ({ resourcesJson: JSON.stringify(await host.describeResources()) }),
      loadKernelModules: async (r: { names: string[] }) => { await host.loadKernelModules(r.names); return {}; },
      shutdown: async () => { setImmediate(shutdown); return {}; },
    },
  };
}
