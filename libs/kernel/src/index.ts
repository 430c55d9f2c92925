export * from './clock.js';
export * from './context.js';
export * from './errors.js';
export * from './ids.js';
export * from './logger.js';
export * from './mutex.js';
export * from './units.js';
export * from './state-directory.js';
