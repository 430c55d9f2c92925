import { Injectable } from '@nestjs/common';
import type { Sql } from '#platform/database';
import { apiUrl } from '#platform/http';
import { NetworksRepository } from './data/networks.repository.js';
import { NetworkUsage, type NetworkRef } from './network-usage.registry.js';
import { nicUses } from './rules/network-config.rules.js';

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
}
