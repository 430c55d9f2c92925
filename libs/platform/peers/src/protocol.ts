import { join } from 'node:path';
import { loadPackageDefinition, type GrpcObject, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { installationRoot } from '#platform/rpc';

export interface WireCaller {
  readonly memberId: number;
  readonly memberName: string;
  readonly incarnation: string;
  readonly requestor: string;
}

export interface CallRequest {
  readonly caller: WireCaller | null;
  readonly name: string;
  readonly request: string;
  readonly bulk?: boolean;
}

export interface Frame {
  readonly open?: CallRequest | null;
  readonly opened?: boolean;
  readonly data?: Buffer;
  readonly end?: boolean;
  readonly lane?: string;
  readonly sent?: number;
}

let loaded: GrpcObject | undefined;

/** The service of `proto/cluster/v1`; fields in camelCase. */
export function membersService(): ServiceClientConstructor {
  loaded ??= loadPackageDefinition(
    loadSync('members.proto', {
      includeDirs: [join(installationRoot(), 'proto', 'cluster', 'v1')], keepCase: false, longs: Number, enums: String, defaults: true, arrays: true, objects: true, oneofs: false,
    }),
  );
  return (((loaded['roost'] as GrpcObject)['cluster'] as GrpcObject)['v1'] as GrpcObject)['Members'] as ServiceClientConstructor;
}

/** 64 MB, as between daemon and agent. */
export const maxMessageBytes = 64 * 1024 * 1024;
