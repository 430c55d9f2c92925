import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { internalContext, invalid, messageOf, randomHex, wrap, type LocalMember, type Logger, type RequestContext, type StateDirectory } from '#kernel';
import { clientEndpoint, EtcdClient, EtcdPki, LocalVoter, VoterBoots, voterName, witnessName, type EtcdLauncher, type VoterOwner } from '#platform/raft';
import { ClusterLog, type Admission, type ClusterLogState, type WitnessAdmission } from '../cluster-log.js';
import type { OpenDatabase } from '../open-database.js';
import type { Tx } from '../transaction.js';
import { readSettings, type ClusterSettings } from './cluster-settings.js';
import { CopyKeeper, type SnapshotSource } from './copy-keeper.js';
import { LogConnection } from './log-connection.js';
import { keepSafetyCopy } from './safety-copy.js';
import { memberRow, voterEndpoints, type MemberRow } from './member-rows.js';
import { SchemaAnnouncer } from './schema-announcer.js';
import type { VoterOversight } from './voter-oversight.js';

const firstAnswerMs = 15_000;

export interface EtcdClusterLogParts {
  readonly open: OpenDatabase;
  readonly launcher: EtcdLauncher;
  readonly member: LocalMember;
  readonly state: StateDirectory;
  readonly logger: Logger;
}

/**
 * The cluster's log as this member has it: the connection to the voters, its own voter if it has one, and the file that follows. What changes the
 * file's history is one transaction of `Replica`; what lies around it (etcd's data, certificates) is made before and removed after, and whatever a kill
 * in between left is removed at the next start.
 */
export class EtcdClusterLog extends ClusterLog {
  readonly pki: EtcdPki;
  readonly voter: LocalVoter;
  private current: LogConnection | null = null;
  private readonly connected = new Set<(connection: LogConnection | null) => void>();
  private readonly copies: CopyKeeper;
  private readonly schema: SchemaAnnouncer;
  private oversight: VoterOversight | null = null;
  /** Why this member's voter was not started with the data it had. */
  private damage: string | undefined;
  private resuming: Promise<void> = Promise.resolve();

  constructor(private readonly parts: EtcdClusterLogParts) {
    super();
    const { state, launcher, logger } = parts;
    this.pki = new EtcdPki(join(state.database, 'etcd-pki'));
    this.voter = new LocalVoter({
      launcher, logger, pki: this.pki, directory: process.env['ROOST_ETCD_DIR'] || join(state.database, 'etcd'),
      events: {
        onWarning: (message) => this.oversight?.events.onWarning(message), onRecovered: () => this.oversight?.events.onRecovered(),
        onDamaged: (message) => this.oversight?.events.onDamaged(message), onRemoved: () => this.oversight?.events.onRemoved(),
      },
    });
    this.copies = new CopyKeeper(parts);
    this.schema = new SchemaAnnouncer(parts.open, logger);
    parts.open.feed.subscribe(['nodes', 'witnesses'], () => this.onMembers());
  }

  /** The voters, as this member reaches them; null when it stands alone. */
  get connection(): LogConnection | null {
    return this.current;
  }

  /** Called with the present connection at once, and whenever another one takes its place. */
  onConnection(listener: (connection: LogConnection | null) => void): () => void {
    this.connected.add(listener);
    listener(this.current);
    return () => this.connected.delete(listener);
  }

  /** Where to fetch a copy from when this member's file cannot go on by itself. */
  useSnapshots(source: SnapshotSource): void {
    this.copies.source = source;
  }

  /** Without it this member's voter runs, and nobody replaces it. */
  overseenBy(oversight: VoterOversight): void {
    this.oversight = oversight;
    if (this.damage !== undefined) oversight.events.onDamaged(this.damage);
  }

  /** Resolves when this member's voter, if it has one, was started again after a start of the process, or could not be. */
  get resumed(): Promise<void> {
    return this.resuming;
  }

  /** At the start of the process. Does not wait for the voters, nor for its own: without them this member reads on. */
  async start(): Promise<void> {
    const { open, member } = this.parts;
    const saved = open.replica.settings;
    if (saved === null) {
      // What an enable or join that was killed had made.
      await this.voter.wipe();
      await this.pki.remove();
      return;
    }
    const settings = readSettings(saved);
    const self = memberRow(open.database.read, settings.memberId);
    Object.assign(member, { id: settings.memberId, name: self?.name ?? member.name, clustered: true });
    const client = await this.client(settings.memberId, this.endpoints(settings), settings.clusterId);
    if (settings.leftBehind !== undefined) await this.voter.forbid(settings.leftBehind);
    else if (self) this.resuming = this.resumeVoter(settings, self, client).catch((error: unknown) => this.parts.logger.error('Failed starting etcd', { error: messageOf(error) }));
    await this.connect(settings, client);
  }

  /** Only with data that is not of the past (hazards A6): the entry this member stood at when the process started counts. */
  private async resumeVoter({ incarnation, memberId }: ClusterSettings, self: MemberRow, client: EtcdClient): Promise<void> {
    if ((self.voter !== 'voter' && self.voter !== 'learner') || self.ports === null) return;
    const { open } = this.parts;
    const { index } = open.database.head;
    const others = voterEndpoints(open.database, 0, memberId);
    const reason = await new VoterBoots(incarnation, memberId, this.voter.dataDirectory(incarnation)).admit(client, others, index);
    if (reason === null) return this.voter.resume(incarnation, self, self.ports);
    this.damage = reason;
    this.oversight?.events.onDamaged(reason);
  }

  /**
   * This member's history goes on elsewhere without it: its voter ends, so that no majority of the old one can form with it, and nothing is written here
   * any more, after a restart neither. What runs goes on, and can be looked at and ended. Safe to repeat.
   */
  async fence(reason: string): Promise<void> {
    const { open, logger } = this.parts;
    const settings: ClusterSettings = { ...this.required().settings, leftBehind: reason };
    logger.error('This member was left behind', { reason });
    await open.replica.saveSettings(JSON.stringify(settings));
    this.required().quorum.fence(reason);
    await this.resuming;
    await this.voter.forbid(reason);
    this.disconnect();
    await this.connect(settings, await this.client(settings.memberId, this.endpoints(settings), settings.clusterId));
  }

  async stop(): Promise<void> {
    this.disconnect();
    await this.resuming;
    await this.voter.stop();
  }

  override state(): ClusterLogState {
    const { open } = this.parts;
    return { clustered: this.current !== null, quorum: this.current?.quorum.state ?? 'ok', head: open.database.head.index, knownLevel: open.replica.knownLevel };
  }

  override async enable(_ctx: RequestContext, { name, address }: { readonly name: string; readonly address: string }, fill: (tx: Tx) => void): Promise<void> {
    const { member } = this.parts;
    if (this.current) throw invalid('This server is already clustered');
    let connection: LogConnection;
    try {
      connection = await this.begin({ id: member.id, name, address }, fill);
    } catch (error) {
      await this.voter.wipe();
      await this.pki.remove();
      throw error;
    }
    Object.assign(member, { name, clustered: true });
    this.use(connection);
  }

  /** A new history with one voter, the owner's, and a new authority. The connection is not in use yet. */
  async begin(owner: VoterOwner, fill: (tx: Tx) => void): Promise<LogConnection> {
    const { open } = this.parts;
    const incarnation = randomHex(16);
    let connection: LogConnection | null = null;
    try {
      await this.pki.create(incarnation);
      const ports = await this.voter.choosePorts(owner);
      await this.voter.bootstrap(incarnation, owner, ports);
      const endpoints = [clientEndpoint(owner.address, ports)];
      const client = await this.client(owner.id, endpoints);
      const [first] = await client.members({ timeoutMs: firstAnswerMs });
      const { header } = await client.status(endpoints[0]!);
      const settings: ClusterSettings = { incarnation, memberId: owner.id, endpoints, clusterId: header.clusterId };
      connection = this.makeConnection(settings, client);
      const { log } = connection;
      await open.replica.begin(incarnation, JSON.stringify(settings), (tx) => {
        fill(tx);
        tx.sql.run("UPDATE nodes SET voter = 'voter', raft = ?, version = json_patch(version, ?) WHERE id = ?", JSON.stringify({ ...ports, id: first?.ID ?? '' }), this.schema.version(), owner.id);
      }, async (head) => {
        await log.begin(head);
        return log;
      });
      return connection;
    } catch (error) {
      connection?.close();
      await this.voter.stop();
      throw wrap(error, 'Failed to make the log of the cluster');
    }
  }

  override async admission(_memberId: number): Promise<Admission> {
    const { open } = this.parts;
    const connection = this.required();
    const { certificate, key } = this.pki.authority();
    return {
      incarnation: connection.settings.incarnation, level: open.database.head.level, clusterId: connection.settings.clusterId,
      endpoints: voterEndpoints(open.database, 0), ca: certificate, caKey: key,
    };
  }

  override async join(ctx: RequestContext, memberId: number, admission: Admission, fetchSnapshot: () => Promise<Readable>): Promise<void> {
    const { open, member } = this.parts;
    if (this.current) throw invalid('This server is already clustered');
    this.assertKnown(admission);
    const settings = settingsOf(admission, memberId);
    let connection: LogConnection | null = null;
    try {
      await this.pki.importAuthority({ certificate: admission.ca, key: admission.caKey });
      connection = this.makeConnection(settings, await this.client(memberId, settings.endpoints));
      await connection.hold(memberId, () => this.copies.install(fetchSnapshot, settings, connection!, () => {
        Object.assign(member, { id: memberId, name: memberRow(open.database.read, memberId)?.name ?? member.name, clustered: true });
      }));
    } catch (error) {
      connection?.close();
      if (open.replica.settings === null) await this.pki.remove();
      throw wrap(error, 'Failed to fetch the database of the cluster');
    }
    this.use(connection);
    await open.database.barrier(ctx);
  }

  override async rejoin(ctx: RequestContext, admission: Admission, fetchSnapshot: () => Promise<Readable>): Promise<{ backup: string }> {
    const { open, state, member } = this.parts;
    this.assertKnown(admission);
    const { settings: former } = this.required();
    if (former.leftBehind === undefined) await this.fence(`The cluster goes on in another history, and "${member.name}" joins it again`);
    const backup = await keepSafetyCopy({ open, state, pki: this.pki }, 'before-rejoin');
    await this.pki.importAuthority({ certificate: admission.ca, key: admission.caKey });
    const settings = settingsOf(admission, former.memberId);
    const connection = this.makeConnection(settings, await this.client(settings.memberId, settings.endpoints));
    try {
      await connection.hold(settings.memberId, () => this.copies.install(fetchSnapshot, settings, connection));
    } catch (error) {
      connection.close();
      throw wrap(error, 'Failed to fetch the database of the cluster');
    }
    this.disconnect();
    this.voter.permit();
    this.use(connection);
    await open.database.barrier(ctx);
    return { backup };
  }

  override async leave(): Promise<void> {
    const { open, member } = this.parts;
    this.disconnect();
    await open.replica.reset(() => Object.assign(member, { id: 1, name: 'none', clustered: false }));
    await this.resuming;
    await this.voter.stop();
    await this.voter.wipe();
    await this.pki.remove();
  }

  override async release(memberId: number): Promise<void> {
    if (this.oversight !== null) return this.oversight.retire(memberId);
    const { open } = this.parts;
    const { client } = this.required();
    const voter = (await client.members()).find(({ name }) => name === voterName(memberId));
    if (voter) await client.removeMember(voter.ID);
    const row = memberRow(open.database.read, memberId);
    if (row && row.voter !== '') await open.runner.run(internalContext(), (tx) => tx.sql.run("UPDATE nodes SET voter = '' WHERE id = ?", memberId));
  }

  override async admitWitness(witnessId: number, host: string): Promise<WitnessAdmission> {
    const { client, log } = this.required();
    const { incarnation, clusterId, endpoints, ca } = await this.admission(witnessId);
    const leaf = await this.pki.issueVoter(witnessName(witnessId), host);
    await client.put({ key: log.keys.witness(witnessId), value: Buffer.from('admitted') });
    return { incarnation, clusterId, endpoints, ca, ...leaf };
  }

  override async dismissWitness(witnessId: number): Promise<void> {
    const { client, log } = this.required();
    await client.deleteRange({ key: log.keys.witness(witnessId) });
  }

  override snapshot(): Promise<Readable> {
    return this.copies.give();
  }

  override refetch(reason: string, fetch: SnapshotSource): Promise<void> {
    return this.copies.refetch(this.required(), fetch, reason);
  }

  private async connect(settings: ClusterSettings, client: EtcdClient): Promise<void> {
    const connection = this.makeConnection(settings, client);
    await this.parts.open.replica.follow(connection.log);
    this.use(connection);
  }

  private makeConnection(settings: ClusterSettings, client: EtcdClient): LogConnection {
    const { open, member, logger } = this.parts;
    const connection: LogConnection = new LogConnection({
      settings, client, database: open.database, replica: open.replica, member, logger, voterResumed: this.resuming, onRefused: (error) => this.copies.onRefused(connection, error),
    });
    return connection;
  }

  private use(connection: LogConnection): void {
    this.current = connection;
    connection.start();
    for (const listener of this.connected) listener(connection);
    this.schema.follow(connection.settings.memberId);
  }

  private disconnect(): void {
    if (!this.current) return;
    this.current.close();
    this.current = null;
    this.schema.follow(null);
    for (const listener of this.connected) listener(null);
  }

  private async client(memberId: number, endpoints: readonly string[], clusterId?: string): Promise<EtcdClient> {
    const credentials = await this.pki.clientCredentials(voterName(memberId));
    return new EtcdClient({ endpoints, credentials, ...(clusterId === undefined ? {} : { clusterId }) });
  }

  private endpoints(settings: ClusterSettings): readonly string[] {
    const known = voterEndpoints(this.parts.open.database, settings.memberId);
    return known.length > 0 ? known : settings.endpoints;
  }

  /** Voters came or went, or this member has another name. */
  private onMembers(): void {
    const { open, member } = this.parts;
    if (!this.current) return;
    const { settings, client } = this.current;
    client.setEndpoints(this.endpoints(settings));
    const self = memberRow(open.database.read, settings.memberId);
    if (self) member.name = self.name;
  }

  private assertKnown({ level }: Admission): void {
    const { knownLevel } = this.parts.open.replica;
    if (level > knownLevel) throw invalid(`The cluster is at schema level ${level}, this program knows levels up to ${knownLevel}: upgrade first`);
  }

  private required(): LogConnection {
    if (!this.current) throw invalid('This server is not clustered');
    return this.current;
  }
}

function settingsOf({ incarnation, endpoints, clusterId }: Admission, memberId: number): ClusterSettings {
  return { incarnation, memberId, endpoints, clusterId };
}
