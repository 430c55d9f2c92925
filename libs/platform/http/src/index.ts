export * from './responses.js';
export * from './decorators.js';
export * from './etag.js';
export * from './query-parameters.js';
export * from './filter-language.rules.js';
export * from './request-context.js';
export * from './websocket-router.js';

