import { join } from 'node:path';
import { loadPackageDefinition, type GrpcObject, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { installationRoot } from '#platform/rpc';

export type EtcdServiceName = 'KV' | 'Watch' | 'Lease' | 'Cluster' | 'Maintenance';

let loaded: GrpcObject | undefined;

/** A service of `proto/etcd/v3` as grpc-js knows it; shapes in `etcd-messages.ts`. */
export function etcdService(name: EtcdServiceName): ServiceClientConstructor {
  loaded ??= loadPackageDefinition(
    loadSync('rpc.proto', {
      includeDirs: [join(installationRoot(), 'proto', 'etcd', 'v3')], keepCase: false, longs: String, enums: String, defaults: true, arrays: true, objects: true, oneofs: false,
    }),
  );
  return (loaded['etcdserverpb'] as GrpcObject)[name] as ServiceClientConstructor;
}
