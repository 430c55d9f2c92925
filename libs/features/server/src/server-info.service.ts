import { Injectable, Optional } from '@nestjs/common';
import { apiExtensions, serverVersion, type Server, type ServerEnvironment, type ServerUntrusted } from '#api-types';
import { LocalMember, unavailable, type RequestContext } from '#kernel';
import { ClusterCertificates } from '#platform/auth';
import { Database } from '#platform/database';
import { EventMesh } from '#platform/events';
import { EncodedJson } from '#platform/http';
import { HostInfo, StorageDriver, type HostDescription, type StorageCapabilities } from '#ports';
import { reachableAddresses } from './listen-addresses.js';
import { ServerConfig } from './server-config.service.js';

interface HostFacts {
  readonly host: HostDescription;
  readonly drivers: StorageCapabilities[];
}

/** How long facts about the host are believed, milliseconds: a host name or a tool may change under a running daemon. */
const factsMs = 30_000;

/** `GET /1.0`: what this server is and can do. */
@Injectable()
export class ServerInfo {
  private facts: HostFacts | undefined;
  private factsAt = 0;
  private loading: Promise<HostFacts> | undefined;
  private encoded: { key: string; json: EncodedJson } | undefined;

  constructor(
    private readonly config: ServerConfig,
    private readonly certificates: ClusterCertificates,
    private readonly database: Database,
    private readonly host: HostInfo,
    private readonly storage: StorageDriver,
    private readonly events: EventMesh,
    @Optional() private readonly member: LocalMember = new LocalMember(),
  ) {}

  untrusted(): ServerUntrusted {
    return { ...general, auth: 'untrusted', public: false, auth_methods: ['tls'] };
  }

  /** The whole answer as JSON; the text is kept for as long as nothing in it changes, because every client asks for it first. */
  async trusted(ctx: RequestContext): Promise<{ json: EncodedJson; etag: unknown }> {
    const { host, drivers } = await this.hostFacts();
    const config = this.config.shown();
    const addresses = reachableAddresses(this.config.get('core.https_address'));
    const inUse = this.database.read.all<{ driver: string }>('SELECT DISTINCT driver FROM storage_pools ORDER BY driver').map(({ driver }) => driver);
    const key = JSON.stringify([config, addresses, inUse, ctx.project, this.factsAt, this.member, this.events.mode, this.certificates.presented.fingerprint]);
    if (this.encoded?.key !== key) {
      const environment = this.environment(ctx, { host, drivers }, addresses, inUse);
      const server: Server = { config, ...general, auth: 'trusted', public: false, auth_methods: ['tls'], environment };
      this.encoded = { key, json: EncodedJson.of(server) };
    }
    return { json: this.encoded.json, etag: config };
  }

  resources(): Promise<Record<string, unknown>> {
    return this.host.describeResources();
  }

  private environment(ctx: RequestContext, { host, drivers }: HostFacts, addresses: string[], inUse: string[]): ServerEnvironment {
    const { certificate, fingerprint } = this.certificates.presented;
    const { clustered, name } = this.member;
    const versions = inUse.map((name) => drivers.find((d) => d.driver === name)?.version ?? '');
    return {
      addresses,
      architectures: host.architectures,
      certificate,
      certificate_fingerprint: fingerprint,
      driver: 'lxc',
      driver_version: host.lxcVersion,
      firewall: host.firewall,
      kernel: host.kernel,
      kernel_architecture: host.kernelArchitecture,
      kernel_features: host.kernelFeatures,
      kernel_version: host.kernelVersion,
      lxc_features: host.lxcFeatures,
      os_name: host.osName,
      os_version: host.osVersion,
      project: ctx.project,
      server: 'lxd',
      server_clustered: clustered,
      server_event_mode: this.events.mode,
      server_name: clustered ? name : host.hostname,
      server_pid: process.pid,
      server_version: serverVersion,
      storage: inUse.join(' | '),
      storage_version: versions.join(' | '),
      storage_supported_drivers: drivers.map(({ driver, version, remote }) => ({ Name: driver, Version: version, Remote: remote })),
    };
  }

  /** The agent answers these; while it is away the last answer stands. */
  private async hostFacts(): Promise<HostFacts> {
    if (this.facts !== undefined && performance.now() - this.factsAt < factsMs) return this.facts;
    this.loading ??= this.loadFacts().finally(() => (this.loading = undefined));
    if (this.facts === undefined) return this.loading;
    this.loading.catch(() => undefined);
    return this.facts;
  }

  private async loadFacts(): Promise<HostFacts> {
    const [host, drivers] = await Promise.all([this.host.describeHost(), this.storage.capabilities()]).catch((error: unknown) => {
      // Otherwise each request would ask the missing agent again.
      this.factsAt = performance.now();
      throw unavailable('The agent of this member does not answer', { cause: error });
    });
    this.factsAt = performance.now();
    this.facts = { host, drivers };
    return this.facts;
  }
}

const general = { api_extensions: apiExtensions, api_status: 'stable', api_version: '1.0' } as const;
