import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { expect, it } from 'vitest';
import { internalContext } from '#kernel';
import { ChangeFeed, Database, DatabaseModule, LocalStore, SqlConsole, TransactionRunner } from './index.js';

it('is injected everywhere, and closed after everything else has written its last', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'roost-module-'));
  const written: boolean[] = [];

  @Injectable()
  class LastWriter {
    constructor(@Inject(TransactionRunner) private readonly runner: TransactionRunner, @Inject(Database) private readonly database: Database) {}

    async onModuleDestroy(): Promise<void> {
      await this.runner.run(internalContext(), (tx) => tx.sql.run("INSERT INTO config (key, value) VALUES ('last', '1')"));
      written.push(this.database.read.get("SELECT 1 FROM config WHERE key = 'last'") !== undefined);
    }
  }
  @Module({ providers: [LastWriter] })
  class FeatureModule {}
  @Module({ imports: [DatabaseModule.forRoot({ directory, synchronous: 'OFF', ballast: { bytes: 0 } }), FeatureModule] })
  class AppModule {}

  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  for (const token of [ChangeFeed, LocalStore, SqlConsole]) expect(app.get(token)).toBeInstanceOf(token);
  const runner = app.get(TransactionRunner);
  await app.close();

  expect(written).toEqual([true]);
  await expect(runner.run(internalContext(), () => 1)).rejects.toMatchObject({ kind: 'unavailable' });
  rmSync(directory, { recursive: true });
});
