import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, unavailable, type Logger } from '#kernel';
import { EtcdClient } from '../etcd/etcd-client.js';
import type { EtcdMember } from '../etcd/etcd-messages.js';
import { memberKey, MemberLease } from '../liveness/member-lease.js';
import { LogKeys } from '../log/log-keys.js';
import { hostPort, mayVoteBeside, memberOfVoter, peerUrl, witnessName } from '../process/etcd-arguments.rules.js';
import type { EtcdLauncher } from '../process/etcd-launcher.js';
import { LocalVoter, type VoterOwner } from '../voters/local-voter.js';
import { VoterBoots } from '../voters/voter-boots.js';
import { initialClusterOf } from '../voters/voter-changes.js';
import type { WitnessFiles, WitnessSettings } from './witness-files.js';

export interface WitnessParts {
  readonly files: WitnessFiles;
  readonly launcher: EtcdLauncher;
  readonly logger: Logger;
}

/** How often it looks at etcd's list and at its admission. */
const lookMs = 1000;
/** How often it looks whether it leads; the cluster's tasks stand still for as long as it does. */
const leadMs = 200;
const statusTimeoutMs = 500;
const moveTimeoutMs = 2000;

/**
 * A voter without a database, on a machine that is no member: it makes two members bear the loss of one. All it knows it reads in etcd: whether it
 * is still admitted, and in etcd's list whether it is to vote; the member that leads puts it there and takes it out. It holds a lease as members do, and
 * hands the lead on at once, since whoever leads has to have the rows.
 */
export class Witness {
  private readonly voter: LocalVoter;
  private readonly client: EtcdClient;
  private readonly lease: MemberLease;
  private settings: WitnessSettings;
  private leased = false;
  /** Whether the cluster knows of the start of its etcd. */
  private announced = false;
  /** Its data was found unusable: the cluster is to take this voter out and begin anew with it (hazards A6). */
  private damage: string | undefined;
  private complaint = '';

  constructor(private readonly parts: WitnessParts, settings: WitnessSettings) {
    const { files, launcher, logger } = parts;
    this.settings = settings;
    this.client = new EtcdClient({ endpoints: settings.endpoints, clusterId: settings.clusterId, credentials: files.credentials() });
    this.voter = new LocalVoter({
      launcher, logger, pki: files, directory: files.etcd,
      events: {
        onWarning: (message) => logger.warn(message), onRecovered: () => logger.info('etcd runs well again'),
        onDamaged: (message) => { this.damage = message; },
        // The next look finds out why.
        onRemoved: () => logger.info('The cluster has taken this witness out of its voters'),
      },
    });
    this.lease = new MemberLease({
      client: this.client, key: memberKey(settings.incarnation, settings.id), value: Buffer.from(JSON.stringify({ witness: settings.name })), logger, onContact: () => undefined,
    });
  }

  /** Runs until `signal` or until the cluster has removed it; resolves with whether it has. Then nothing of it is left here, otherwise its data is. */
  async run(signal: AbortSignal): Promise<boolean> {
    let removed = false;
    await this.resume().catch((error: unknown) => this.complain(error));
    for (let lookAt = 0; !signal.aborted && !removed;) {
      if (performance.now() >= lookAt) {
        removed = await this.look().catch((error: unknown) => this.complain(error));
        lookAt = performance.now() + lookMs;
      }
      await this.handLeadOn().catch((error: unknown) => this.parts.logger.debug('The lead was not handed on', { error: messageOf(error) }));
      if (!removed) await sleep(leadMs, undefined, { signal }).catch(() => undefined);
    }
    await this.lease.stop();
    await this.voter.stop();
    this.client.close();
    if (removed) await this.parts.files.remove();
    return removed;
  }

  /** With the data there is, without asking a majority: it may be the one that is missing for it. */
  private async resume(): Promise<void> {
    const { voterId, endpoints, incarnation } = this.settings;
    if (voterId === undefined) return;
    const own = this.endpoint;
    const reason = await this.boots.admit(this.client, endpoints.filter((endpoint) => endpoint !== own), 0);
    if (reason === null) await this.voter.resume(incarnation, this.owner, this.settings);
    else this.damage = reason;
  }

  /** True when there is nothing more to do here. */
  private async look(): Promise<boolean> {
    const { id, incarnation } = this.settings;
    const { kvs } = await this.client.range({ key: new LogKeys(incarnation).witness(id) });
    if (kvs.length === 0) return true;
    const members = await this.client.members();
    await this.remember(members);
    await this.lend();
    const own = members.find(({ name, peerURLs }) => name === witnessName(id) || peerURLs.includes(this.peerUrl));
    if (this.damage !== undefined) await this.beginAnew(own);
    else if (own === undefined) await this.rest();
    else if (own.ID !== this.settings.voterId) await this.join(own, members);
    else if (!this.voter.isRunning(incarnation)) await this.resume();
    else if (!this.announced) await this.announce();
    this.complaint = '';
    return false;
  }

  /** A witness that could not vote is not there: nobody asks it to. */
  private async lend(): Promise<void> {
    if (this.leased) return;
    const other = this.client.endpointList.find((endpoint) => endpoint !== this.endpoint);
    if (other === undefined) return;
    const [own, { version }] = await Promise.all([this.voter.version(), this.client.status(other)]);
    if (!mayVoteBeside(own, version)) throw unavailable(`etcd ${own} here is older than the cluster's ${version}`);
    this.leased = true;
    this.lease.start();
  }

  private async join(own: EtcdMember, members: readonly EtcdMember[]): Promise<void> {
    const { incarnation } = this.settings;
    this.parts.logger.info('Becoming a voter', { etcdId: own.ID });
    await this.boots.forget(this.client);
    await this.voter.join(incarnation, this.owner, this.settings, initialClusterOf(members, own.ID, witnessName(this.settings.id)));
    await this.boots.raise();
    this.announced = false;
    await this.save({ voterId: own.ID });
  }

  private async announce(): Promise<void> {
    await this.boots.announce(this.client);
    this.announced = true;
  }

  /** It does not vote now. */
  private async rest(): Promise<void> {
    const { voterId, incarnation } = this.settings;
    if (voterId === undefined && !this.voter.isRunning(incarnation)) return;
    await this.voter.stop();
    await this.voter.wipe(incarnation);
    await this.save({ voterId: undefined });
  }

  private async beginAnew(own: EtcdMember | undefined): Promise<void> {
    const { logger } = this.parts;
    logger.error('The data of this witness\'s etcd cannot be used', { reason: this.damage });
    await this.voter.stop();
    if (own !== undefined && own.ID === this.settings.voterId) await this.client.removeMember(own.ID);
    await this.voter.setAside(this.settings.incarnation);
    await this.save({ voterId: undefined });
    this.damage = undefined;
  }

  /** Whoever leads has to have the rows: the first member that answers and follows takes the lead. */
  private async handLeadOn(): Promise<void> {
    const own = this.endpoint;
    if (this.voter.running === undefined) return;
    const { leader, header } = await this.client.status(own, { timeoutMs: statusTimeoutMs });
    if (leader !== header.memberId) return;
    const heirs = (await this.client.members({ endpoint: own })).filter(({ name, isLearner }) => memberOfVoter(name) !== null && !isLearner);
    for (const heir of heirs) {
      const follows = await this.client.status(clientOf(heir), { timeoutMs: statusTimeoutMs }).then((status) => status.leader === leader, () => false);
      if (!follows) continue;
      await this.client.moveLeader(own, heir.ID, { timeoutMs: moveTimeoutMs });
      this.parts.logger.info('Handed the lead on', { to: heir.name });
      return;
    }
  }

  /** Where voters answer, this one's own first: those known at the start are asked at the next. */
  private async remember(members: readonly EtcdMember[]): Promise<void> {
    const endpoints = members.filter(({ isLearner, clientURLs }) => !isLearner && clientURLs.length > 0).map(clientOf);
    if (endpoints.length === 0) return;
    this.client.setEndpoints(endpoints);
    if (endpoints.join() !== this.settings.endpoints.join()) await this.save({ endpoints });
  }

  private async save(changed: Partial<WitnessSettings>): Promise<void> {
    this.settings = { ...this.settings, ...changed };
    await this.parts.files.write(this.settings);
  }

  /** Said once: an election makes it fail for a while, and so does a majority that is gone. Always false. */
  private complain(error: unknown): false {
    const message = messageOf(error);
    if (message !== this.complaint) this.parts.logger.warn('This witness cannot do its part now', { error: message });
    this.complaint = message;
    return false;
  }

  private get owner(): VoterOwner {
    const { id, name, host, peerPort } = this.settings;
    return { id, name, address: hostPort(host, peerPort), witness: true };
  }

  private get boots(): VoterBoots {
    return new VoterBoots(this.settings.incarnation, this.settings.id, this.voter.dataDirectory(this.settings.incarnation));
  }

  private get endpoint(): string {
    return hostPort(this.settings.host, this.settings.clientPort);
  }

  private get peerUrl(): string {
    return peerUrl({ advertisedHost: this.settings.host, peerPort: this.settings.peerPort });
  }
}

function clientOf({ clientURLs }: EtcdMember): string {
  return new URL(clientURLs[0]!).host;
}
