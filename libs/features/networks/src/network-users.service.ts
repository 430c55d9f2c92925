import { Injectable } from '@nestjs/common';
import { invalid } from '#kernel';
import type { Sql } from '#platform/database';
import { apiUrl } from '#platform/http';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkUsage, type NetworkRef } from './network-usage.registry.js';
import { nicUses, shareParent, type Config } from './rules/network-config.rules.js';

/** Who uses a network or an interface of the host: profiles first, then what registered. */
@Injectable()
export class NetworkUsers {
  constructor(private readonly networks: NetworksRepository, private readonly usage: NetworkUsage) {}

  /** URLs, one per NIC. */
  usedBy(sql: Sql, network: NetworkRef): string[] {
    const profiles = this.networks.profileDevices(sql).filter(({ networkProject }) => networkProject === network.project);
    const urls = profiles.flatMap(({ project, profile, devices }) =>
      Object.values(devices).filter((device) => nicUses(device, network.name)).map(() => apiUrl(['1.0', 'profiles', profile], project)));
    return [...urls, ...this.usage.usedBy(sql, network)];
  }

  /** A link is one `physical` network at most. @throws `invalid` in LXD's words. */
  refuseTakenParent(sql: Sql, network: { readonly name: string; readonly type: string; readonly config: Config }): void {
    if (network.type !== 'physical') return;
    const taken = this.networks.listAll(sql).some((row) => (row.project !== 'default' || row.name !== network.name) && shareParent(network.config, row.config));
    if (taken) throw invalid(`Parent interface "${network.config['parent']}" in use by another network`);
  }

  refuseParentChange(sql: Sql, before: NetworkRow, config: Config): void {
    if (before.type !== 'physical' || ['parent', 'vlan'].every((key) => (before.config[key] ?? '') === (config[key] ?? ''))) return;
    if (this.usedBy(sql, before).length > 0) throw invalid('Cannot update network parent interface when in use');
    this.refuseTakenParent(sql, { ...before, config });
  }
}
