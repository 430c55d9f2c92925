import { Injectable } from '@nestjs/common';
import { apiExtensions } from '#api-types';
import { internal, invalid, LocalMember, type RequestContext } from '#kernel';
import { ClusterCertificates, parsePem, ServerCertificates } from '#platform/auth';
import { ClusterLog, Database, isUniqueViolation } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, parseListenAddress } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { HostInfo } from '#ports';
import { ServerConfig } from '#features/server';
import { MembersRepository } from './data/members.repository.js';
import { trustMember } from './join/member-trust.js';
import { checkMemberName } from './rules/member-change.rules.js';

/** Makes a server that stands alone the first member of a cluster, without losing a row. */
@Injectable()
export class ClusterEnabling {
  constructor(
    private readonly operations: OperationsService,
    private readonly config: ServerConfig,
    private readonly members: MembersRepository,
    private readonly log: ClusterLog,
    private readonly database: Database,
    private readonly certificates: ClusterCertificates,
    private readonly server: ServerCertificates,
    private readonly host: HostInfo,
    private readonly local: LocalMember,
    private readonly events: EventBus,
  ) {}

  /** Checks what LXD checks before it answers, then works as an operation. */
  enable(ctx: RequestContext, name: string): Promise<OperationHandle> {
    if (name === '') throw invalid('ServerName is required when enabling clustering');
    const address = this.clusterAddress();
    return this.operations.runInMemory(ctx, {
      kind: 'cluster.bootstrap', class: 'task', description: 'Creating bootstrap node', resources: { cluster: [] }, conflictKey: 'cluster:membership', action: 'bootstrap',
      run: () => this.begin(ctx, name, address),
    });
  }

  private async begin(ctx: RequestContext, name: string, address: string): Promise<void> {
    if (this.local.clustered) throw invalid('This server is already clustered');
    checkMemberName(name);
    const { architectures } = await this.host.describeHost();
    if (this.config.get('cluster.https_address') === '') await this.config.update(ctx, { 'cluster.https_address': address }, { replace: false });
    const former = this.certificates.current;
    if (former === null) await this.certificates.create();
    const certificate = parsePem(this.server.current.certificate);
    try {
      await this.log.enable(ctx, { name, address }, (tx) => {
        const version = { level: this.database.head.level, apiExtensions: apiExtensions.length };
        this.members.setIdentity(tx, this.local.id, { name, address, architecture: architectures[0] ?? '', certificate: this.server.current.certificate, version });
        trustMember(tx, name, certificate);
      });
    } catch (error) {
      if (former === null) await this.certificates.remove();
      throw isUniqueViolation(error) ? internal(`The name "${name}" is taken`, { cause: error }) : error;
    }
    this.events.lifecycle({ action: 'cluster-enabled', source: apiUrl(['1.0', 'cluster', name]), project: ctx.project, requestor: ctx.requestor });
  }

  /** Other members must be able to reach it, so it names one address. */
  private clusterAddress(): string {
    const own = this.config.get('cluster.https_address');
    if (own !== '') return own;
    const address = this.config.get('core.https_address');
    const { host } = address === '' ? { host: '' } : parseListenAddress(address);
    if (['', '0.0.0.0', '::'].includes(host)) {
      throw internal(`Cannot use wildcard core.https_address "${address}" for cluster.https_address. Please specify a new cluster.https_address or core.https_address`);
    }
    return address;
  }
}
