export * from './certificates.module.js';
export { addExpiry } from './expiry.rules.js';
