import { Module, type DynamicModule, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { ClusterOperations } from './cluster/cluster-operations.js';
import { OperationPeers } from './cluster/operation-peers.js';
import { RemoteOperationWatch } from './cluster/remote-operation-watch.js';
import { LiveOperations } from './live-operations.js';
import { OperationHistory } from './operation-history.js';
import { OperationRegistry } from './operation-registry.js';
import { OperationRunner } from './operation-runner.js';
import { OperationRecords } from './operation-records.js';
import { OperationRepository } from './operation.repository.js';
import { OperationsOptions } from './operations-options.js';
import { OperationsService } from './operations.service.js';

/** How long a stopping daemon lets stored operations reach their next boundary. */
const stopPatienceMs = 2000;

/** Global. The daemon calls `OperationsService.recover()` itself, when the agent answers. */
@Module({})
export class OperationsModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly runner: OperationRunner,
    private readonly operations: OperationsService,
  ) {}

  static forRoot(options: Partial<OperationsOptions> = {}): DynamicModule {
    return {
      module: OperationsModule,
      global: true,
      providers: [
        { provide: OperationsOptions, useFactory: (member?: LocalMember) => Object.assign(new OperationsOptions(), member && { member }, options), inject: [{ token: LocalMember, optional: true }] },
        OperationRegistry, OperationRecords, OperationRepository, LiveOperations, OperationRunner, OperationHistory, OperationsService, OperationPeers, ClusterOperations, RemoteOperationWatch,
      ],
      exports: [ClusterOperations, OperationRecords, OperationRegistry, OperationsService],
    };
  }

  onApplicationBootstrap(): void {
    this.runner.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.operations.stop(stopPatienceMs);
  }
}
