import { Injectable, Optional, type OnApplicationBootstrap } from '@nestjs/common';
import { internal, invalid, LocalMember, Logger, messageOf, notFound, type RequestContext } from '#kernel';
import { serverAddressKeys } from '#config-schema';
import { Authenticator } from '#platform/auth';
import { Database } from '#platform/database';
import { emptyResponse, HttpServer, syncResponse, type ApiResponse } from '#platform/http';
import type { ServerPut } from '#api-types';
import { assertResolvable, coversAddress } from './listen-addresses.js';
import { ServerConfig } from './server-config.service.js';
import { ServerInfo } from './server-info.service.js';

/** What is served where metrics alone are: with what tells a client how to get there. */
const metricsPaths = { onlyPaths: ['/', '/1.0', '/1.0/metrics'] };

/** `GET`, `PUT` and `PATCH /1.0`, and what the server's keys do to the server itself: listeners, browsers' access, trust. */
@Injectable()
export class ServerService implements OnApplicationBootstrap {
  constructor(
    private readonly config: ServerConfig,
    private readonly info: ServerInfo,
    private readonly http: HttpServer,
    private readonly authenticator: Authenticator,
    private readonly database: Database,
    private readonly logger: Logger,
    @Optional() private readonly member: LocalMember = new LocalMember(),
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const key of Object.keys(serverAddressKeys)) {
      this.config.registerCheck(key, (value) => checkAddress(key, value));
    }
    this.config.registerApplier('core.https_address', (value) => this.listen(value, this.config.get('cluster.https_address')));
    this.config.registerApplier('cluster.https_address', (value) => {
      // The other members know this one by it.
      if (this.member.clustered) throw internal('Changing cluster.https_address is currently not supported');
      return this.listen(this.config.get('core.https_address'), value);
    });
    this.config.registerApplier('core.metrics_address', (value) => this.http.setListener('metrics', value, metricsPaths));
    for (const key of ['origin', 'methods', 'headers', 'credentials']) this.config.onChange(`core.https_allowed_${key}`, () => this.applyTrust());
    for (const key of ['core.trust_ca_certificates', 'core.metrics_authentication']) this.config.onChange(key, () => this.applyTrust());
    this.applyTrust();
    await this.openListeners();
  }

  async describe(ctx: RequestContext, target?: string): Promise<ApiResponse> {
    if (!ctx.trusted) return syncResponse(this.info.untrusted());
    this.assertTarget(target);
    const { json, etag } = await this.info.trusted(ctx);
    return syncResponse(json, { etag });
  }

  async update(ctx: RequestContext, body: ServerPut, options: { replace: boolean; ifMatch?: string; target?: string }): Promise<ApiResponse> {
    this.assertTarget(options.target);
    await this.config.update(ctx, body.config ?? {}, options);
    return emptyResponse();
  }

  async resources(target?: string): Promise<ApiResponse> {
    this.assertTarget(target);
    return syncResponse(await this.info.resources());
  }

  /** An address that cannot be bound now must not keep the daemon from starting: the unix socket is how one mends it. */
  private async openListeners(): Promise<void> {
    const opened = {
      'core.https_address': () => this.listen(this.config.get('core.https_address'), this.config.get('cluster.https_address')),
      'core.metrics_address': () => this.http.setListener('metrics', this.config.get('core.metrics_address'), metricsPaths),
    };
    for (const [key, open] of Object.entries(opened)) {
      try {
        await open();
      } catch (error) {
        this.logger.error('Cannot listen on the network', { key, error: messageOf(error) });
      }
    }
  }

  /** Members reach this one by the listener of clients where that covers the address; otherwise by one of their own. */
  private async listen(core: string, cluster: string): Promise<void> {
    const separate = cluster !== '' && !coversAddress(core, cluster);
    if (!separate) await this.http.setListener('cluster', null);
    await this.http.setListener('https', core);
    if (separate) await this.http.setListener('cluster', cluster);
  }

  private applyTrust(): void {
    Object.assign(this.http.cors, {
      origin: this.config.get('core.https_allowed_origin'),
      methods: this.config.get('core.https_allowed_methods'),
      headers: this.config.get('core.https_allowed_headers'),
      credentials: this.config.bool('core.https_allowed_credentials'),
    });
    this.authenticator.settings.trustCaCertificates = this.config.bool('core.trust_ca_certificates');
    this.http.openPaths = this.config.bool('core.metrics_authentication') ? [] : ['/1.0/metrics'];
  }

  private assertTarget(target: string | undefined): void {
    if (target === undefined || target === '') return;
    if (this.database.read.get('SELECT 1 FROM nodes WHERE name = ?', target) === undefined) throw notFound('Cluster member not found');
  }
}

async function checkAddress(key: string, value: string): Promise<void> {
  try {
    await assertResolvable(value);
  } catch (error) {
    throw invalid(`cannot set '${key}' to '${value}': ${messageOf(error)}`, { cause: error });
  }
}
