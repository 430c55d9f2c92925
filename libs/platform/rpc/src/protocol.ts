import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, type GrpcObject, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { internal } from '#kernel';

/** The `proto` folder, found upwards from this file, so that sources and the built tree use the same one. */
function protoRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'proto', 'agent', 'v1'))) {
    const parent = dirname(directory);
    if (parent === directory) throw internal('The proto folder is missing from this installation');
    directory = parent;
  }
  return join(directory, 'proto');
}

let loaded: GrpcObject | undefined;

export type AgentServiceName = 'Host' | 'Storage' | 'Network' | 'Instance';

/**
 * A service of `proto/agent/v1` as grpc-js knows it. Fields arrive in camelCase, absent ones with their default, 64-bit integers as
 * numbers: the shapes of `libs/ports`, which the messages mirror.
 */
export function agentService(name: AgentServiceName): ServiceClientConstructor {
  if (!loaded) {
    const folder = join(protoRoot(), 'agent', 'v1');
    loaded = loadPackageDefinition(
      loadSync(['host.proto', 'storage.proto', 'network.proto', 'instance.proto'], {
        includeDirs: [folder], keepCase: false, longs: Number, enums: String, defaults: true, arrays: true, objects: true, oneofs: false,
      }),
    );
  }
  const services = ((loaded['roost'] as GrpcObject)['agent'] as GrpcObject)['v1'] as GrpcObject;
  return services[name] as ServiceClientConstructor;
}
