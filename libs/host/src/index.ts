export * from './command.errors.js';
export * from './command.js';
