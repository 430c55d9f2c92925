import { pipeline } from 'node:stream/promises';
import { Global, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { unavailable } from '#kernel';
import { Database, EtcdClusterLog } from '#platform/database';
import { RequestRouter } from '#platform/http';
import { Peers } from '#ports';
import { LeftBehindMembers } from './left-behind.js';
import { MemberDirectory } from './member-directory.js';
import { MemberForwarder } from './member-forwarder.js';
import { MemberPeers } from './member-peers.js';
import { MembersServer } from './members-server.js';

/** Members among each other: calls, streams, forwarded requests. Needs database, auth, http and liveness modules. */
@Global()
@Module({
  providers: [
    LeftBehindMembers, MemberDirectory, MemberForwarder, MemberPeers, MembersServer, { provide: Peers, useExisting: MemberPeers },
  ],
  exports: [MemberDirectory, MembersServer, Peers],
})
export class PeersModule implements OnApplicationBootstrap {
  constructor(
    private readonly peers: MemberPeers,
    private readonly forwarder: MemberForwarder,
    private readonly router: RequestRouter,
    private readonly cluster: EtcdClusterLog,
    private readonly database: Database,
  ) {}

  onApplicationBootstrap(): void {
    this.peers.handleStream('database.snapshot', async (_request, stream) => pipeline(await this.cluster.snapshot(), stream));
    this.cluster.useSnapshots(async () => {
      const source = this.peers.others().find(({ id }) => this.peers.isOnline(id));
      if (!source) throw unavailable('No other member is there to fetch the database from');
      return this.peers.openStream(source.id, 'database.snapshot', {}, { bulk: true });
    });
    // A member that stands alone has nobody to wait for or to send requests to.
    this.cluster.onConnection((connection) => {
      this.router.barrier = connection ? (ctx) => this.database.barrier(ctx) : null;
      this.router.forwarder = connection ? this.forwarder : null;
    });
  }
}
