import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, type GrpcObject, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { internal } from '#kernel';

let root: string | undefined;

/** The folder this program is installed in, found upwards from this file: sources, compiled tree and bundle lie in the same one. */
export function installationRoot(): string {
  if (root !== undefined) return root;
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'proto', 'agent', 'v1'))) {
    const parent = dirname(directory);
    if (parent === directory) throw internal('The proto folder is missing from this installation');
    directory = parent;
  }
  root = directory;
  return root;
}

/** What the build wrote about itself, empty where there was none; daemon and agent of one tree have the same. */
export function buildIdentity(): string {
  const file = join(installationRoot(), 'dist', 'build-id');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

let loaded: GrpcObject | undefined;

export type AgentServiceName = 'Host' | 'Storage' | 'Network' | 'Instance';

/**
 * A service of `proto/agent/v1` as grpc-js knows it. Fields arrive in camelCase, absent ones with their default, 64-bit integers as
 * numbers: the shapes of `libs/ports`, which the messages mirror.
 */
export function agentService(name: AgentServiceName): ServiceClientConstructor {
  if (!loaded) {
    const folder = join(installationRoot(), 'proto', 'agent', 'v1');
    loaded = loadPackageDefinition(
      loadSync(['host.proto', 'storage.proto', 'network.proto', 'instance.proto'], {
        includeDirs: [folder], keepCase: false, longs: Number, enums: String, defaults: true, arrays: true, objects: true, oneofs: false,
      }),
    );
  }
  const services = ((loaded['roost'] as GrpcObject)['agent'] as GrpcObject)['v1'] as GrpcObject;
  return services[name] as ServiceClientConstructor;
}
