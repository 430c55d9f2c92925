import { dirname } from 'node:path';
import { Module, type DynamicModule } from '@nestjs/common';
import { Clock, LocalMember, Logger, SilentLogger, StateDirectory } from '#kernel';
import { EtcdLauncher, NoEtcdLauncher } from '#platform/raft';
import { ChangeFeed } from './change-feed.js';
import { ClusterLog } from './cluster-log.js';
import { EtcdClusterLog } from './cluster/etcd-cluster-log.js';
import { Database } from './database.js';
import { LocalStore } from './local-store.js';
import { OpenDatabase, type OpenOptions } from './open-database.js';
import { SqlConsole } from './sql-console.js';
import { TransactionRunner } from './transaction-runner.js';

/**
 * Opens the database while the application starts, before any provider that needs it, and closes it as the application's very last
 * act. `Logger`, `Clock`, `LocalMember`, `StateDirectory` and `EtcdLauncher` are used when a global module provides them; without the last, this member
 * cannot be part of a cluster.
 */
@Module({})
export class DatabaseModule {
  static forRoot(options: OpenOptions): DynamicModule {
    const part = <T>(token: abstract new (...args: never[]) => T, pick: (open: OpenDatabase) => T) => ({ provide: token, useFactory: pick, inject: [OpenDatabase] });
    const parts = [
      part(Database, ({ database }) => database),
      part(TransactionRunner, ({ runner }) => runner),
      part(ChangeFeed, ({ feed }) => feed),
      part(LocalStore, ({ localStore }) => localStore),
      part(SqlConsole, (open) => open.console),
    ];
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        {
          provide: OpenDatabase,
          useFactory: (logger?: Logger, clock?: Clock, member?: LocalMember) => OpenDatabase.open({ logger, clock, member, ...options }),
          inject: [Logger, Clock, LocalMember].map((token) => ({ token, optional: true })),
        },
        ...parts,
        {
          provide: EtcdClusterLog,
          useFactory: async (open: OpenDatabase, member = new LocalMember(), logger: Logger = new SilentLogger(), launcher: EtcdLauncher = new NoEtcdLauncher(), state?: StateDirectory) => {
            const cluster = new EtcdClusterLog({ open, launcher, member, logger, state: state ?? new StateDirectory(dirname(options.directory)) });
            await cluster.start();
            open.beforeClose(() => cluster.stop());
            return cluster;
          },
          inject: [OpenDatabase, ...[LocalMember, Logger, EtcdLauncher, StateDirectory].map((token) => ({ token, optional: true }))],
        },
        { provide: ClusterLog, useExisting: EtcdClusterLog },
      ],
      exports: [ClusterLog, EtcdClusterLog, OpenDatabase, ...parts.map(({ provide }) => provide)],
    };
  }
}
