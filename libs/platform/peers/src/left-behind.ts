import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { LocalMember, Logger, StateDirectory } from '#kernel';
import { ServerCertificates } from '#platform/auth';
import { Database, EtcdClusterLog } from '#platform/database';
import { deadlineIn } from '#platform/rpc';
import { MemberPeers } from './member-peers.js';
import { membersService } from './protocol.js';

/** In `database/`: what members of the history before a recovery still show, PEM. */
export const formerClusterCertificate = 'former-cluster.crt';

const periodMs = 5000;
const callMs = 3000;

interface LeftBehind {
  readonly name: string;
  readonly address: string;
  readonly former: string;
}

/**
 * After a recovery, this member tells those it left out that their history is over, for as long as their rows are here: one that comes back stops writing
 * and starts nothing (hazards A3). They still trust this member's certificate; it trusts theirs for nothing but this call. Without contact nothing can be
 * prevented.
 */
@Injectable()
export class LeftBehindMembers implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private readonly told = new Set<string>();

  constructor(
    private readonly peers: MemberPeers,
    private readonly database: Database,
    private readonly cluster: EtcdClusterLog,
    private readonly server: ServerCertificates,
    private readonly state: StateDirectory,
    private readonly local: LocalMember,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.peers.handle('cluster.left-behind', async ({ former }: { former: string }, { memberName }) => {
      if (former !== this.database.head.incarnation) return { fenced: false };
      await this.cluster.fence(`This member was left behind when the cluster was recovered on "${memberName}": it comes back by "lxc cluster add ${this.local.name}" there and "lxd cluster rejoin TOKEN" here`);
      return { fenced: true };
    });
    this.timer = setInterval(() => void this.round(), periodMs);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  private async round(): Promise<void> {
    if (!this.local.clustered) return;
    const rows = this.database.read.all<LeftBehind>("SELECT name, address, raft ->> 'leftOut' AS former FROM nodes WHERE raft ->> 'leftOut' IS NOT NULL");
    const waiting = rows.filter(({ name }) => !this.told.has(name));
    if (waiting.length === 0) return;
    let certificate: Buffer;
    try {
      certificate = readFileSync(join(this.state.database, formerClusterCertificate));
    } catch {
      // Recovered on another member, which tells them.
      return;
    }
    await Promise.all(waiting.map((member) => this.tell(member, certificate)));
  }

  private async tell({ name, address, former }: LeftBehind, certificate: Buffer): Promise<void> {
    const { current } = this.server;
    const client = new (membersService())(address, credentials.createSsl(certificate, Buffer.from(current.key), Buffer.from(current.certificate), { checkServerIdentity: () => undefined }), { 'grpc.ssl_target_name_override': 'member.roost.internal' });
    try {
      await new Promise<void>((resolve, reject) => {
        const { call } = client as unknown as Record<'call', (request: object, metadata: Metadata, options: object, done: (error: ServiceError | null) => void) => void>;
        // Of no history: this is not a call between members of one.
        const caller = { memberId: this.local.id, memberName: this.local.name, incarnation: '', requestor: JSON.stringify({ username: '', protocol: 'internal', address: '' }) };
        call.call(client, { caller, name: 'cluster.left-behind', request: JSON.stringify({ former }) }, new Metadata(), { deadline: deadlineIn(callMs) }, (error) => (error ? reject(error) : resolve()));
      });
      this.told.add(name);
      this.logger.warn('Told a former member that its history is over', { member: name });
    } catch (error) {
      this.logger.debug('A former member does not answer', { member: name, error: String(error) });
    } finally {
      client.close();
    }
  }
}
