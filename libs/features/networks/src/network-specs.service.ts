import { Injectable } from '@nestjs/common';
import { invalid, wrap } from '#kernel';
import type { NetworkSpec } from '#ports';
import { Database, type Sql } from '#platform/database';
import { NetworkAclsRepository } from './data/network-acls.repository.js';
import { NetworkForwardsRepository } from './data/network-forwards.repository.js';
import type { NetworkRow } from './data/networks.repository.js';
import { hiddenKeys } from './rules/network-config.rules.js';
import { aclNames, compileAcls } from './rules/network-acl.rules.js';
import { compileForward } from './rules/network-forward.rules.js';

/** A network as it is, or is about to be; `id` is missing while it has no row. */
export type DescribedNetwork = Pick<NetworkRow, 'project' | 'name' | 'type' | 'config'> & { readonly id?: number };

/** Networks as the host of this member needs them: with their forwards here and the rules of their access lists. */
@Injectable()
export class NetworkSpecs {
  constructor(private readonly database: Database, private readonly forwards: NetworkForwardsRepository, private readonly acls: NetworkAclsRepository) {}

  /** What NICs must know of a bridge. */
  nicConfig({ id, config }: Pick<NetworkRow, 'id' | 'config'>, sql: Sql = this.database.read): NetworkRow['config'] {
    return this.forwards.here(sql, id).length === 0 ? config : { ...config, [hiddenKeys.forwards]: 'true' };
  }

  /** @throws `invalid` in LXD's words for a list that does not exist or cannot be had by a bridge. */
  of(network: DescribedNetwork, sql: Sql = this.database.read): NetworkSpec {
    const { id, project, name, type, config } = network;
    if (type !== 'bridge') return { name, type, config };
    const names = aclNames(config);
    const rules = names.map((acl) => {
      const row = this.acls.find(sql, project, acl);
      if (row === undefined) throw invalid(`Network ACL "${acl}" does not exist`);
      return row;
    });
    return {
      name, type, config, acl: names.length === 0 ? [] : compileAcls(network, rules),
      forwards: id === undefined ? [] : this.forwards.here(sql, id).map((row) => {
        try {
          return compileForward(row.listenAddress, row, config);
        } catch (error) {
          throw wrap(error, `Failed validating forward for listen address "${row.listenAddress}"`);
        }
      }),
    };
  }
}
