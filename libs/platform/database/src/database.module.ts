import { Module, type DynamicModule } from '@nestjs/common';
import { Clock, LocalMember, Logger } from '#kernel';
import { ChangeFeed } from './change-feed.js';
import { Database } from './database.js';
import { LocalStore } from './local-store.js';
import { OpenDatabase, type OpenOptions } from './open-database.js';
import { SqlConsole } from './sql-console.js';
import { TransactionRunner } from './transaction-runner.js';

/**
 * Opens the database while the application starts, before any provider that needs it, and closes it as the application's very last
 * act. `Logger` and `Clock` are used when a global module provides them.
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
      ],
      exports: [OpenDatabase, ...parts.map(({ provide }) => provide)],
    };
  }
}
