export * from './certificates.module.js';
