import { Injectable } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { RequestContext } from '#kernel';
import { VolumeMigration } from '#ports';
import { OperationsService, type InMemoryOptions, type OperationHandle } from '#platform/operations';
import { ServerConfig } from '#features/server';
import { AwaitedConnections, checkAddress, DialledConnections, type MigrationAddress } from './migration-connections.js';
import { VolumeArrival } from './volume-arrival.js';
import { VolumeDeparture, type ConnectionSource, type DepartingVolume } from './volume-departure.js';

/** How the operation that sends a volume looks. One that waits for the other side can be cancelled where `cancel` is given. */
export type ShownDeparture = Pick<InMemoryOptions, 'kind' | 'description' | 'resources' | 'cancel'>;

/** Shown to the other server. */
const userAgent = 'LXD 5.0.2 (Roost)';

/** Volumes that come from other servers, or go to them. What comes is found again by the step that takes it, as long as this process lives. */
@Injectable()
export class VolumeMigrations {
  private readonly arrivals = new Map<string, VolumeArrival>();

  constructor(private readonly migration: VolumeMigration, private readonly operations: OperationsService, private readonly config: ServerConfig) {}

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

  /** Sends a volume, to the other side's operation where `target` says which, else to whoever connects to the one that is returned. @throws `invalid` for a target that is none. */
  async send(ctx: RequestContext, departing: DepartingVolume, target: MigrationAddress | null, shown: ShownDeparture): Promise<OperationHandle> {
    const awaited = target === null ? this.await() : null;
    const connections = awaited ?? this.dial(target!);
    const { cancel, ...options } = shown;
    return this.operations.runInMemory(ctx, {
      ...options, class: awaited === null ? 'task' : 'websocket', metadata: { ...awaited?.secrets },
      ...(awaited === null ? {} : { connect: (secret: string, accept: () => Promise<WebSocket>) => awaited.connect(secret, accept) }),
      ...(awaited === null || cancel === undefined ? {} : { cancel }),
      run: ({ signal, update }) => new VolumeDeparture(this.migration, connections).run(departing, { signal, progress: update }),
    });
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
