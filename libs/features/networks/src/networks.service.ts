import { Injectable } from '@nestjs/common';
import type { NetworkPut, NetworksPost } from '#api-types';
import { networkTypes } from '#config-schema';
import { conflict, forbidden, internalContext, invalid, LocalMember, Logger, messageOf, randomHex, wrap, type RequestContext } from '#kernel';
import { NetworkDriver, type NetworkSpec, type NicNetwork, type StaticLease } from '#ports';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { ClusterNetworks, etagOf, type NetworkUpdate, type SubnetChooser } from './cluster-networks.service.js';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { MemberNetworks } from './member-networks.service.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkSpecs } from './network-specs.service.js';
import { NetworkUsers } from './network-users.service.js';
import { chooseSubnet } from './rules/free-subnet.rules.js';
import { bridgeHwaddr, changedKeys, compact, hiddenKeys, hiddenOf, nicConfigOn, validateNetworkConfig, validateNetworkName, visibleConfig, type Config } from './rules/network-config.rules.js';

/** Keys a change of which asks nothing of the host. */
const withoutEffect = /^(user\.|maas\.|ipv[46]\.ovn\.ranges$)/;

/**
 * Managed networks: rows and the hosts' bridges kept in step. What several members do together is in `ClusterNetworks`, what is done to this host
 * for them in `MemberNetworks`.
 *
 * On a member that stands alone a row is `Pending` from before the host is touched until its work is done, both when a network is made and when it is deleted. A
 * daemon that dies in between finds the row at its next start and clears both; the driver clears only links that are its own. A
 * rename is noted in the row first, and undone at the next start if it was cut short.
 */
@Injectable()
export class NetworksService {
  private readonly chooser: SubnetChooser = (config, isNew) => this.withChosenSubnets(config, isNew);

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly networks: NetworksRepository,
    private readonly local: MemberNetworks,
    private readonly cluster: ClusterNetworks,
    private readonly users: NetworkUsers,
    private readonly specs: NetworkSpecs,
    private readonly projects: NetworkProjects,
    private readonly driver: NetworkDriver,
    private readonly events: EventBus,
    private readonly member: LocalMember,
    private readonly logger: Logger,
  ) {}

  /** A managed network as a project sees it (in the project's own or the default one); `not-found` with LXD's wording. */
  get(project: string, name: string, sql: Sql = this.database.read): NetworkRow {
    return this.networks.get(sql, this.projects.owner(project), name);
  }

  list(project: string): NetworkRow[] {
    return this.networks.listByProject(this.database.read, this.projects.owner(project));
  }

  /**
   * What a driver must know of the network behind a NIC. It names a managed network (`network`; `not-found` where it does not exist), or
   * an interface of the host (`parent`), which may be a managed bridge all the same.
   */
  nicNetwork(project: string, config: Config, device = '', sql: Sql = this.database.read): NicNetwork {
    const { network = '', parent = '', nictype = '' } = config;
    if (network !== '') {
      try {
        const row = this.get(project, network, sql);
        // NICs on a link of the host itself are nothing DHCP or DNS of ours know of.
        if (row.type !== 'bridge') return { device, parent: row.config['parent'] ?? '', network: '', networkConfig: {} };
        return { device, parent: row.name, network: row.name, networkConfig: this.specs.nicConfig(row, sql) };
      } catch (error) {
        throw wrap(error, `Failed to load network "${network}" for project "${project}"`);
      }
    }
    const managed = nictype === 'bridged' && parent !== '' ? this.networks.find(sql, 'default', parent) : undefined;
    return { device, parent, network: managed?.name ?? '', networkConfig: managed === undefined ? {} : this.specs.nicConfig(managed, sql) };
  }

  /** A NIC's configuration with what its managed network decides for it: LXD's `nictype`, `parent` and what goes with them. */
  nicConfig(project: string, config: Config, sql: Sql = this.database.read): Config {
    const { network = '' } = config;
    const row = network === '' ? undefined : this.networks.find(sql, this.projects.owner(project), network);
    return row === undefined || row.type === 'bridge' ? config : nicConfigOn(row.type, row.config, config);
  }

  /** Replaces what DHCP and DNS know of a NIC on a managed network; an empty `hwaddr` forgets it and gives its leases back. */
  setStaticLease(networkName: string, lease: StaticLease): Promise<void> {
    return this.driver.setStaticLease(networkName, lease);
  }

  async create(ctx: RequestContext, request: NetworksPost, target = ''): Promise<void> {
    const { name, description } = request;
    if (name === '') throw invalid('No name provided');
    const project = this.projects.owner(ctx.project);
    if (!this.projects.allows(ctx.project, name)) throw forbidden('Network not allowed in project');
    this.projects.refuseBeyondLimit(project, this.networks.listByProject(this.database.read, project).length);
    const type = typeOf(request.type, project);
    validateNetworkName(type, name);
    const config = compact(request.config);
    if (await this.cluster.create(ctx, { ...request, type, project, config }, target, this.chooser)) return;
    if (this.networks.find(this.database.read, project, name) !== undefined) throw invalid('The network already exists');
    validateNetworkConfig(type, name, config);
    await this.local.changing.run(async () => {
      const spec = this.specs.of({ project, name, type, config: type === 'bridge' ? await this.newBridgeConfig(config) : config });
      const id = await this.runner.run(ctx, (tx) => {
        if (this.networks.find(tx.sql, project, name) !== undefined) throw invalid('The network already exists');
        this.users.refuseTakenParent(tx.sql, spec);
        this.specs.of({ ...spec, project }, tx.sql);
        return this.networks.insertPending(tx, { name, type, config: spec.config, project, description });
      });
      try {
        await this.local.ensure(id, spec);
        await this.runner.run(ctx, (tx) => {
          this.networks.setState(tx, id, 'Created');
          this.announce(tx, ctx, 'network-created', project, name);
        });
      } catch (error) {
        await this.clear({ ...spec, id }).catch((undoing: unknown) => {
          this.logger.error('Failed to undo the creation of a network; the next start tries again', { network: name, error: messageOf(undoing) });
        });
        throw error;
      }
    });
  }

  /** PUT replaces, PATCH merges. The host changes first and is put back when the row cannot follow. */
  update(ctx: RequestContext, name: string, request: NetworkPut, options: NetworkUpdate): Promise<void> {
    const project = this.projects.owner(ctx.project);
    this.projects.assertAllowed(ctx.project, name);
    if (this.member.clustered) return this.cluster.update(ctx, project, name, request, options, this.chooser);
    return this.local.changing.run(async () => {
      const before = this.loaded(project, name);
      checkEtag(options.ifMatch, etagOf(before, before.config));
      const asked = compact(options.merge ? { ...visibleConfig(before.config), ...request.config } : request.config);
      validateNetworkConfig(before.type, name, asked);
      this.users.refuseParentChange(this.database.read, before, asked);
      const config = { ...(await this.withChosenSubnets(asked, false)), ...hiddenOf(before.config) };
      const description = request.description ?? (options.merge ? before.description : '');
      const touchesHost = Object.keys(changedKeys(before.config, config)).some((key) => !withoutEffect.test(key));
      try {
        if (touchesHost) await this.local.ensure(before.id, this.specs.of({ ...before, config }));
        await this.runner.run(ctx, (tx) => {
          const row = this.networks.get(tx.sql, project, name);
          checkEtag(options.ifMatch, etagOf(row, row.config));
          this.users.refuseParentChange(tx.sql, row, config);
          this.specs.of({ ...row, config }, tx.sql);
          this.networks.update(tx, row.id, { description, config });
          this.announce(tx, ctx, 'network-updated', project, name);
        });
      } catch (error) {
        if (touchesHost) {
          await this.local.ensure(before.id, this.specs.of(before)).catch((undoing: unknown) => {
            this.logger.error('Failed to restore a network after a refused change', { network: name, error: messageOf(undoing) });
          });
        }
        throw error;
      }
    });
  }

  async rename(ctx: RequestContext, name: string, newName: string): Promise<void> {
    const project = this.projects.owner(ctx.project);
    this.projects.assertAllowed(ctx.project, name);
    if (this.member.clustered) throw invalid('Renaming clustered network not supported');
    return this.local.changing.run(async () => {
      const { type } = this.loaded(project, name);
      if (newName === '') throw invalid('New network name not provided');
      validateNetworkName(type, newName);
      const row = await this.runner.run(ctx, (tx) => {
        const current = this.networks.get(tx.sql, project, name);
        if (this.networks.find(tx.sql, project, newName) !== undefined) throw conflict(`Network "${newName}" already exists`);
        if (this.users.usedBy(tx.sql, { project, name }).length > 0) throw invalid('Network is currently in use');
        this.networks.update(tx, current.id, { description: current.description, config: { ...current.config, [hiddenKeys.renameTo]: newName } });
        return current;
      });
      try {
        await this.driver.renameNetwork(this.specs.of(row), newName);
        await this.runner.run(ctx, (tx) => {
          this.networks.rename(tx, row.id, newName);
          this.networks.update(tx, row.id, row);
          this.announce(tx, ctx, 'network-renamed', project, newName, { old_name: name });
        });
      } catch (error) {
        await this.local.undoRename(row, newName).catch((undoing: unknown) => {
          this.logger.error('Failed to undo the renaming of a network; the next start tries again', { network: name, error: messageOf(undoing) });
        });
        throw error;
      }
    });
  }

  async delete(ctx: RequestContext, name: string): Promise<void> {
    const project = this.projects.owner(ctx.project);
    this.projects.assertAllowed(ctx.project, name);
    if (this.member.clustered) {
      this.loaded(project, name);
      return this.cluster.delete(ctx, project, name);
    }
    return this.local.changing.run(async () => {
      this.loaded(project, name);
      const row = await this.runner.run(ctx, (tx) => {
        const current = this.networks.get(tx.sql, project, name);
        if (this.users.usedBy(tx.sql, { project, name }).length > 0) throw invalid('The network is currently in use');
        this.networks.setState(tx, current.id, 'Pending');
        return current;
      });
      try {
        await this.local.remove(row);
      } catch (error) {
        await this.runner.run(internalContext(), (tx) => this.networks.setState(tx, row.id, 'Created'));
        throw wrap(error, `Failed deleting network "${name}"`);
      }
      await this.runner.run(ctx, (tx) => {
        this.networks.delete(tx, row.id);
        this.announce(tx, ctx, 'network-deleted', project, name);
      });
    });
  }

  /** For the daemon's start, once the agent answers: settles what was cut short and brings every network up. The reconciler goes on trying. */
  ensureAll(): Promise<void> {
    return this.local.ensureAll();
  }

  /** Takes all networks down but keeps their leases: for a shutdown of the whole member. */
  stopAll(): Promise<void> {
    return this.local.stopAll();
  }

  /** Restores what somebody else took away: link, address, rules, dnsmasq. */
  restore(): Promise<void> {
    return this.local.restore();
  }

  /** The network that a request is about to change. @throws `not-found` in LXD's words. */
  toChange(project: string, name: string): NetworkRow {
    return this.loaded(this.projects.owner(project), name);
  }

  /** With LXD's prefix for requests that change something. */
  private loaded(project: string, name: string): NetworkRow {
    try {
      return this.networks.get(this.database.read, project, name);
    } catch (error) {
      throw wrap(error, 'Failed loading network');
    }
  }

  /** `auto` becomes a subnet that neither this host nor another network uses. A chosen one is translated unless asked otherwise (when `nat` says so). */
  private async withChosenSubnets(config: Config, nat: boolean): Promise<Record<string, string>> {
    const chosen: Record<string, string> = { ...config };
    if (config['ipv4.address'] !== 'auto' && config['ipv6.address'] !== 'auto') return chosen;
    const ofNetworks = this.networks.listAll(this.database.read).flatMap((row) => [row.config['ipv4.address'] ?? '', row.config['ipv6.address'] ?? '']);
    const used = [...(await this.driver.listUsedSubnets()), ...ofNetworks.filter((address) => address.includes('/'))];
    for (const family of ['ipv4', 'ipv6'] as const) {
      if (config[`${family}.address`] !== 'auto') continue;
      chosen[`${family}.address`] = chooseSubnet(family, used, randomHex);
      if (nat) chosen[`${family}.nat`] ??= 'true';
    }
    return chosen;
  }

  private async newBridgeConfig(config: Config): Promise<Record<string, string>> {
    const full = await this.withChosenSubnets({ 'ipv4.address': 'auto', 'ipv6.address': 'auto', ...config }, true);
    return { ...full, [hiddenKeys.hwaddr]: bridgeHwaddr(randomHex(3)) };
  }

  private async clear(network: NetworkSpec & { readonly id: number }): Promise<void> {
    await this.local.remove(network);
    await this.runner.run(internalContext(), (tx) => this.networks.delete(tx, network.id));
  }

  private announce(tx: Tx, ctx: RequestContext, action: string, project: string, name: string, context?: Record<string, string>): void {
    tx.afterCommit(() => this.events.lifecycle({ action, source: apiUrl(['1.0', 'networks', name], project), project, requestor: ctx.requestor, context }));
  }
}

/** An empty type means a bridge, and in a project with networks of its own an OVN network, which there are none of. */
function typeOf(type: string, project: string): string {
  const wanted = type === '' ? (project === 'default' ? 'bridge' : 'ovn') : type;
  if (wanted !== 'ovn' && !networkTypes.includes(wanted)) throw invalid('Unknown driver');
  if (wanted !== 'ovn' && project !== 'default') throw invalid('Network type does not support non-default projects');
  if (wanted === 'ovn') throw invalid(`Network type "${wanted}" is not supported`);
  return wanted;
}
