import { Injectable } from '@nestjs/common';
import { VolumeMigration } from '#ports';
import { ServerConfig } from '#features/server';
import { AwaitedConnections, checkAddress, DialledConnections, type MigrationAddress } from './migration-connections.js';
import { VolumeArrival } from './volume-arrival.js';
import { VolumeDeparture, type ConnectionSource } from './volume-departure.js';

/** Shown to the other server. */
const userAgent = 'LXD 5.0.2 (Roost)';

/** Volumes that come from other servers, or go to them. What comes is found again by the step that takes it, as long as this process lives. */
@Injectable()
export class VolumeMigrations {
  private readonly arrivals = new Map<string, VolumeArrival>();

  constructor(private readonly migration: VolumeMigration, private readonly config: ServerConfig) {}

  /** Connections that the other side, or a client between both, makes. */
  await(): AwaitedConnections {
    return new AwaitedConnections();
  }

  /** Connections to the other side's operation. @throws `invalid`. */
  dial(address: MigrationAddress): DialledConnections {
    checkAddress(address);
    const proxy = { http: this.config.get('core.proxy_http'), https: this.config.get('core.proxy_https'), ignoreHosts: this.config.get('core.proxy_ignore_hosts') };
    return new DialledConnections(address, proxy, userAgent);
  }

  departure(connections: ConnectionSource): VolumeDeparture {
    return new VolumeDeparture(this.migration, connections);
  }

  /** Under a name for `arriving`, until it is forgotten. */
  expect(id: string, connections: ConnectionSource, progress: (metadata: Record<string, unknown>) => void): VolumeArrival {
    const arrival = new VolumeArrival(this.migration, connections, progress);
    this.arrivals.set(id, arrival);
    return arrival;
  }

  /** Undefined for one of a process that is no more. */
  arriving(id: string): VolumeArrival | undefined {
    return this.arrivals.get(id);
  }

  forget(id: string): void {
    this.arrivals.delete(id);
  }
}
