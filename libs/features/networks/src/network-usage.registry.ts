import { Injectable } from '@nestjs/common';
import type { Sql } from '#platform/database';

/** A network or an interface of the host, as NICs name it. */
export interface NetworkRef {
  /** Project the network belongs to; `default` for an interface that is not managed. */
  readonly project: string;
  readonly name: string;
}

/** A NIC plugged into a managed network. */
export interface NetworkNic {
  readonly project: string;
  readonly instance: string;
  readonly device: string;
  /** Empty until it has one. */
  readonly hwaddr: string;
  /** Reserved addresses, empty where there are none. */
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  /** Subnets routed to it. */
  readonly routes: readonly string[];
  /** Name of the member the instance is on. */
  readonly location: string;
}

/** A feature that puts NICs on networks. Both methods answer from rows alone. */
export interface NetworkUser {
  /** URLs, one per NIC. */
  usedBy(sql: Sql, network: NetworkRef): string[];
  nics(sql: Sql, network: NetworkRef): NetworkNic[];
}

/** Who uses networks: higher features register themselves when their module starts. */
@Injectable()
export class NetworkUsage {
  private readonly users: NetworkUser[] = [];

  register(user: NetworkUser): void {
    this.users.push(user);
  }

  usedBy(sql: Sql, network: NetworkRef): string[] {
    return this.users.flatMap((user) => user.usedBy(sql, network));
  }

  nics(sql: Sql, network: NetworkRef): NetworkNic[] {
    return this.users.flatMap((user) => user.nics(sql, network));
  }
}
