export * from './identity.js';
export * from './trust-store.js';
export * from './client-certificate.js';
export * from './server-certificates.js';
export * from './cluster-certificates.js';
export * from './authenticator.js';
export * from './auth.module.js';
export * from './restricted-access.rules.js';
export { forwardingHeaders, isForwarded, originalIdentity, withoutForwarding } from './forwarded-identity.js';
