import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeClientConstructor, type MethodDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
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

let loaded: protobuf.Root | undefined;
const services = new Map<AgentServiceName, ServiceClientConstructor>();

export type AgentServiceName = 'Host' | 'Storage' | 'Network' | 'Instance';

const files = ['host.proto', 'storage.proto', 'network.proto', 'instance.proto'];
const asPorts: protobuf.IConversionOptions = { longs: Number, enums: String, defaults: true, arrays: true, objects: true, oneofs: false };

/**
 * A service of `proto/agent/v1` as grpc-js knows it. Fields arrive in camelCase, absent ones with their default, 64-bit integers as
 * numbers: the shapes of `libs/ports`, which the messages mirror. Made here and not by `@grpc/proto-loader`, which besides makes descriptors of
 * everything, for reflection that nobody asks for: a tenth of the agent's start.
 */
export function agentService(name: AgentServiceName): ServiceClientConstructor {
  let service = services.get(name);
  if (service === undefined) {
    loaded ??= loadFiles(join(installationRoot(), 'proto', 'agent', 'v1'));
    const { fullName, methodsArray } = loaded.lookupService(`roost.agent.v1.${name}`);
    service = makeClientConstructor(Object.fromEntries(methodsArray.map((method) => [method.name, definitionOf(method, fullName.slice(1))])), name);
    services.set(name, service);
  }
  return service;
}

function loadFiles(folder: string): protobuf.Root {
  const parsed = new protobuf.Root();
  parsed.resolvePath = (_origin, target) => (isAbsolute(target) ? target : join(folder, target));
  parsed.loadSync(files);
  parsed.resolveAll();
  return parsed;
}

function definitionOf(method: protobuf.Method, service: string): MethodDefinition<object, object> {
  const { resolvedRequestType: request, resolvedResponseType: response } = method;
  if (request === null || response === null) throw internal(`The messages of ${service}.${method.name} are missing`);
  return {
    path: `/${service}/${method.name}`, requestStream: method.requestStream === true, responseStream: method.responseStream === true,
    originalName: method.name.charAt(0).toLowerCase() + method.name.slice(1),
    requestSerialize: serializer(request), requestDeserialize: deserializer(request),
    responseSerialize: serializer(response), responseDeserialize: deserializer(response),
  };
}

function serializer(type: protobuf.Type): (value: object) => Buffer {
  return (value) => Buffer.from(type.encode(type.fromObject(value)).finish());
}

function deserializer(type: protobuf.Type): (bytes: Buffer) => object {
  return (bytes) => type.toObject(type.decode(bytes), asPorts);
}
