export * from './events.module.js';
