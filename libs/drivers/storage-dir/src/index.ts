export * from './dir-storage.driver.js';
