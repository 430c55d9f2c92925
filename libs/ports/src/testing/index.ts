export * from './storage-driver.contract.js';
