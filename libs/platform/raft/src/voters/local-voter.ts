import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createServer, isIP } from 'node:net';
import { join } from 'node:path';
import { precondition, unavailable, type Logger } from '#kernel';
import { voterServerName } from '../etcd/voter-calls.js';
import type { EtcdPki } from '../pki/etcd-pki.js';
import { EtcdKeeper, type EtcdKeeperEvents } from '../process/etcd-keeper.js';
import { hostPort, peerUrl, refusalOfVersion, splitHostPort, voterNameOf, type EtcdNode } from '../process/etcd-arguments.rules.js';
import type { EtcdLauncher } from '../process/etcd-launcher.js';

/** Where a member's etcd listens: what `nodes.raft` holds, without etcd's own id. */
export interface VoterPorts {
  readonly peerPort: number;
  readonly clientPort: number;
}

/** The member or witness whose etcd this is. */
export interface VoterOwner {
  readonly id: number;
  readonly name: string;
  /** `host:port` of its cluster listener; of a witness the host counts. */
  readonly address: string;
  readonly witness?: boolean;
}

export interface LocalVoterParts {
  readonly launcher: EtcdLauncher;
  readonly pki: Pick<EtcdPki, 'voterFiles'>;
  readonly logger: Logger;
  /** `<state>/database/etcd` or where the administrator wants it: one folder per history below it. */
  readonly directory: string;
  readonly events: EtcdKeeperEvents;
  /** Where etcd stops taking writes; its usual two gigabytes unless given. */
  readonly quotaBytes?: number;
}

/** How many ports are tried above the wanted one. */
const portTries = 100;

/** This member's etcd, if it has one: started at most once, for one history at a time. */
export class LocalVoter {
  private keeper: EtcdKeeper | undefined;
  private forbidden: string | null = null;

  constructor(private readonly parts: LocalVoterParts) {}

  get running(): EtcdNode | undefined {
    return this.keeper?.node;
  }

  get pid(): number | undefined {
    return this.keeper?.pid;
  }

  /** Version of the installed etcd; `unavailable` when there is none that may vote. */
  async version(): Promise<string> {
    const version = await this.parts.launcher.version();
    const refusal = refusalOfVersion(version);
    if (refusal !== null) throw unavailable(refusal);
    return version;
  }

  isRunning(incarnation: string): boolean {
    return this.keeper?.node.incarnation === incarnation;
  }

  dataDirectory(incarnation: string): string {
    return join(this.parts.directory, incarnation);
  }

  /** Whether there is something to resume. */
  hasData(incarnation: string): boolean {
    return existsSync(join(this.dataDirectory(incarnation), 'member'));
  }

  /** Ports for a member that has none yet: cluster port plus one and plus two, or the next free ones. */
  async choosePorts(owner: VoterOwner): Promise<VoterPorts> {
    const { host, port } = splitHostPort(owner.address);
    const address = await addressOf(host);
    const peerPort = await freePort(address, port + 1);
    return { peerPort, clientPort: await freePort(address, peerPort + 1) };
  }

  /** The first voter of a new history. Whatever lay in its folder is removed. */
  async bootstrap(incarnation: string, owner: VoterOwner, ports: VoterPorts): Promise<void> {
    const node = await this.node(incarnation, owner, ports, { initialState: 'new', initialCluster: {} });
    await this.stop();
    await this.wipe(incarnation);
    await this.run({ ...node, initialCluster: { [node.name]: peerUrl(node) } });
  }

  /** A voter that joins those in `initialCluster` (peer URLs by name, its own included), as they agreed before. Whatever lay in its folder is removed. */
  async join(incarnation: string, owner: VoterOwner, ports: VoterPorts, initialCluster: Readonly<Record<string, string>>): Promise<void> {
    const node = await this.node(incarnation, owner, ports, { initialState: 'existing', initialCluster });
    await this.stop();
    await this.wipe(incarnation);
    await this.run(node);
  }

  /** Goes on with the data there is. */
  async resume(incarnation: string, owner: VoterOwner, ports: VoterPorts): Promise<void> {
    if (!this.hasData(incarnation)) throw unavailable('The data of this member\'s etcd is gone');
    const node = await this.node(incarnation, owner, ports, { initialState: 'existing', initialCluster: {} });
    if (this.keeper && sameNode(this.keeper.node, node)) return;
    await this.stop();
    await this.run({ ...node, initialCluster: { [node.name]: peerUrl(node) } });
  }

  /** Ends it, and lets nobody start it again: whoever still asks belongs to a history that was left behind (hazards A3). */
  async forbid(reason: string): Promise<void> {
    this.forbidden = reason;
    await this.stop();
  }

  /** This member follows another history from now on, and may vote in that. */
  permit(): void {
    this.forbidden = null;
  }

  async stop(): Promise<void> {
    const { keeper } = this;
    this.keeper = undefined;
    await keeper?.stop();
  }

  /** Removes the data of one history, or of all. */
  async wipe(incarnation?: string): Promise<void> {
    await rm(incarnation === undefined ? this.parts.directory : this.dataDirectory(incarnation), { recursive: true, force: true });
  }

  /** Keeps the data of one history where nothing uses it; of several only the last. */
  async setAside(incarnation: string): Promise<void> {
    const [from, to] = [this.dataDirectory(incarnation), `${this.dataDirectory(incarnation)}.damaged`];
    await rm(to, { recursive: true, force: true });
    if (existsSync(from)) await rename(from, to);
  }

  private async run(node: EtcdNode): Promise<void> {
    const { launcher, logger, events, directory } = this.parts;
    await this.version();
    this.keeper = new EtcdKeeper({ launcher, logger, node, logFile: join(directory, 'log', 'etcd.log'), events });
    await this.keeper.start();
  }

  private async node(incarnation: string, owner: VoterOwner, { peerPort, clientPort }: VoterPorts, start: Pick<EtcdNode, 'initialState' | 'initialCluster'>): Promise<EtcdNode> {
    // First of all, so that nothing is wiped for one that may not start.
    if (this.forbidden !== null) throw precondition(this.forbidden);
    const { host } = splitHostPort(owner.address);
    const listenAddress = await addressOf(host);
    const files = await this.parts.pki.voterFiles(voterNameOf(owner), [host, listenAddress, voterServerName]);
    return { name: voterNameOf(owner), incarnation, dataDirectory: this.dataDirectory(incarnation), listenAddress, advertisedHost: host, peerPort, clientPort, ...start, files, quotaBytes: this.parts.quotaBytes };
  }
}

/** URL a member's voter is reached under by clients. */
export function clientEndpoint(address: string, ports: VoterPorts): string {
  return hostPort(splitHostPort(address).host, ports.clientPort);
}

/** etcd listens on addresses only; the name is what others dial (hazards C5). */
async function addressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

function sameNode(a: EtcdNode, b: EtcdNode): boolean {
  return a.dataDirectory === b.dataDirectory && a.listenAddress === b.listenAddress && a.peerPort === b.peerPort && a.clientPort === b.clientPort;
}

/** The first port from `first` on that nobody listens on. */
export async function freePort(host: string, first: number): Promise<number> {
  for (let port = first; port < first + portTries; port++) {
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw unavailable(`No free port on ${host} from ${first} on`);
}
