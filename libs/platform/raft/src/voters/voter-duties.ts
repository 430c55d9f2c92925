import { conflict, messageOf, Mutex, unavailable, type LocalMember, type Logger } from '#kernel';
import type { MemberLiveness, Peers } from '#ports';
import type { EtcdClient } from '../etcd/etcd-client.js';
import { mayVoteBeside } from '../process/etcd-arguments.rules.js';
import type { EtcdKeeperEvents } from '../process/etcd-keeper.js';
import type { LocalVoter, VoterOwner } from './local-voter.js';
import { VoterBoots } from './voter-boots.js';
import { prepareVoterRequest, startVoterRequest, stopVoterRequest, type PreparedVoter } from './voter-messages.js';
import type { VoterRoster } from './voter-roster.js';

/** The cluster this member takes part in. */
export interface ClusterPart {
  readonly client: EtcdClient;
  readonly incarnation: string;
}

export interface VoterDutiesParts {
  readonly member: LocalMember;
  readonly voter: LocalVoter;
  readonly roster: VoterRoster;
  readonly peers: Peers;
  readonly liveness: MemberLiveness;
  readonly logger: Logger;
  /** Something an administrator should know; null when it is over. */
  readonly onWarning?: (message: string | null) => void;
}

const announceRetryMs = 1000;
const replaceRetryMs = 2000;

/** What this member does for the voters when the leader asks, and what becomes of its own voter when that ends. */
export class VoterDuties implements EtcdKeeperEvents {
  private part: ClusterPart | undefined;
  /** One change of this member's voter after the other: what removes the data of one must not meet the next. */
  private readonly order = new Mutex();
  /** What was found out before the cluster could be asked. */
  private damage: string | undefined;

  constructor(private readonly parts: VoterDutiesParts) {
    const { peers } = parts;
    peers.handle('raft.prepare-voter', (request) => this.prepare(request));
    peers.handle('raft.start-voter', (request) => this.start(request));
    peers.handle('raft.stop-voter', (request) => this.stopVoter(request));
  }

  follow(part: ClusterPart): void {
    this.part = part;
    const { voter, member, roster } = this.parts;
    if (this.damage !== undefined) this.onDamaged(this.damage);
    else if (voter.isRunning(part.incarnation)) void this.announce(part, this.boots(part.incarnation));
    // It was replaced while this member was away.
    else if (roster.members().some(({ id, raft }) => id === member.id && raft === null)) void this.stopAndWipe(part.incarnation);
  }

  unfollow(): void {
    this.part = undefined;
  }

  onWarning(message: string): void {
    this.parts.onWarning?.(message);
  }

  onRecovered(): void {
    this.parts.onWarning?.(null);
  }

  /** The data is kept aside for whoever wants to look at it, and the leader asked for a new beginning. */
  onDamaged(message: string): void {
    const { part } = this;
    this.damage = part === undefined ? message : undefined;
    if (part === undefined) return;
    this.parts.logger.error('The data of this member\'s etcd cannot be used', { reason: message });
    this.parts.onWarning?.(`The data of etcd on this member cannot be used and was moved aside: ${message}`);
    void this.replaceDamaged(part).catch((error: unknown) => this.parts.logger.error('Failed moving the data of etcd aside', { error: messageOf(error) }));
  }

  onRemoved(): void {
    const { part } = this;
    this.parts.logger.info('The cluster has taken this member\'s voter out');
    if (part !== undefined) void this.stopAndWipe(part.incarnation);
  }

  private async prepare(request: unknown): Promise<PreparedVoter> {
    const { incarnation, version } = prepareVoterRequest.parse(request);
    this.assertPart(incarnation);
    const { voter } = this.parts;
    const own = await voter.version();
    if (!mayVoteBeside(own, version)) throw unavailable(`etcd ${own} here is older than the cluster's ${version}`);
    const { peerPort, clientPort } = await voter.choosePorts(this.owner());
    return { peerPort, clientPort };
  }

  private async start(request: unknown): Promise<void> {
    const { incarnation, peerPort, clientPort, initialCluster } = startVoterRequest.parse(request);
    const part = this.assertPart(incarnation);
    const { voter } = this.parts;
    await this.order.run(async () => {
      // Asked a second time, by the next leader perhaps: what it has learned meanwhile must not be wiped.
      if (voter.isRunning(incarnation) && voter.running?.peerPort === peerPort) return;
      const boots = this.boots(incarnation);
      await boots.forget(part.client);
      await voter.join(incarnation, this.owner(), { peerPort, clientPort }, initialCluster);
      await boots.raise();
      void this.announce(part, boots);
    });
  }

  private async stopVoter(request: unknown): Promise<void> {
    const { incarnation } = stopVoterRequest.parse(request);
    await this.stopAndWipe(incarnation);
  }

  private async stopAndWipe(incarnation: string): Promise<void> {
    const { voter, logger } = this.parts;
    try {
      await this.order.run(async () => {
        if (voter.isRunning(incarnation)) await voter.stop();
        await voter.wipe(incarnation);
      });
    } catch (error) {
      logger.warn('Failed removing the data of etcd', { error: messageOf(error) });
    }
  }

  private async announce(part: ClusterPart, boots: VoterBoots): Promise<void> {
    while (this.part === part) {
      try {
        await boots.announce(part.client);
        // It runs and the cluster answers: whatever was wrong before is over.
        this.parts.onWarning?.(null);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, announceRetryMs).unref());
      }
    }
  }

  private async replaceDamaged(part: ClusterPart): Promise<void> {
    const { voter, peers, liveness, member, logger } = this.parts;
    await this.order.run(async () => {
      await voter.stop();
      await voter.setAside(part.incarnation);
    });
    while (this.part === part) {
      const leader = liveness.leaderId();
      try {
        if (leader !== null && leader !== member.id) {
          await peers.call(leader, 'raft.replace-voter', { memberId: member.id });
          return;
        }
      } catch (error) {
        logger.debug('The leader did not replace this member\'s voter yet', { error: messageOf(error) });
      }
      await new Promise((resolve) => setTimeout(resolve, replaceRetryMs).unref());
    }
  }

  private boots(incarnation: string): VoterBoots {
    return new VoterBoots(incarnation, this.parts.member.id, this.parts.voter.dataDirectory(incarnation));
  }

  private owner(): VoterOwner {
    const { member, roster } = this.parts;
    const row = roster.members().find(({ id }) => id === member.id);
    if (row === undefined) throw unavailable('This member is not part of the cluster yet');
    return row;
  }

  private assertPart(incarnation?: string): ClusterPart {
    if (this.part === undefined) throw unavailable('This member does not follow the cluster\'s log yet');
    if (incarnation !== undefined && incarnation !== this.part.incarnation) throw conflict('This member follows another history of the log');
    return this.part;
  }
}
