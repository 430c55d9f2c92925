export { LocalVolumeMigration, type LocalVolumeMigrationOptions } from './local-volume-migration.driver.js';
