export * from './btrfs-storage.driver.js';
