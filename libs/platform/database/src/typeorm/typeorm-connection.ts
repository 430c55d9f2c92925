import { DataSource, getMetadataArgsStorage, type EntityManager, type QueryRunner } from 'typeorm';
import type { SqliteConnection } from '../sqlite-connection.js';
import { sqliteModule } from './sqlite-module.js';

/** An entity manager bound to the open transaction. After `release` it refuses every query. */
export interface TransactionManager {
  readonly manager: EntityManager;
  release(): void;
}

/** Every class decorated as an entity that has been imported so far. */
function knownEntities(): Function[] {
  return getMetadataArgsStorage().tables.map(({ target }) => target).filter((target) => typeof target === 'function');
}

/** TypeORM on one of our connections. It opens no file, starts no transaction and changes no schema. */
export class TypeOrmConnection {
  private constructor(private readonly dataSource: DataSource) {}

  static async open(connection: SqliteConnection): Promise<TypeOrmConnection> {
    const dataSource = new DataSource({
      type: 'better-sqlite3', database: connection.options.path, driver: sqliteModule(connection), entities: knownEntities(),
      synchronize: false, migrationsRun: false, logging: false,
      // Statements are kept by the connection.
      statementCacheSize: 0,
    });
    return new TypeOrmConnection(await dataSource.initialize());
  }

  /** For reads outside a transaction. */
  get manager(): EntityManager {
    return this.dataSource.manager;
  }

  /**
   * The driver keeps one query runner for all; a transaction gets its own, told that a transaction is open, so that `save()` goes
   * straight to its statements and `transaction()` makes savepoints.
   */
  transactionManager(): TransactionManager {
    const { driver } = this.dataSource;
    const shared = (driver as { queryRunner?: QueryRunner }).queryRunner;
    Object.assign(driver, { queryRunner: undefined });
    const queryRunner = this.dataSource.createQueryRunner();
    Object.assign(driver, { queryRunner: shared });
    Object.assign(queryRunner, { isTransactionActive: true, transactionDepth: 1 });
    return { manager: queryRunner.manager, release: () => void Object.assign(queryRunner, { isReleased: true }) };
  }

  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }
}
