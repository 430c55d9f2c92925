export { ApiClient, type ApiEndpoint } from './api-client.js';
export { BaseApiClient, type ApiAnswer, type ApiClientOptions, type ApiRequest, type EventMessage, type EventStream, type Guard } from './base-api-client.js';
export { readText } from './read-text.js';
export type { ConnectionSettings } from './connections.js';
export { proxyFor, type ProxySettings } from './proxies.js';
export { fingerprintOf, resolveJoinToken, shownCertificate, whyNoToken, type ResolvedToken } from './join-token.js';
export { ClientConfig, remote, type ClientConfigOptions, type Remote } from './client-config.js';
export { followOperation, type FollowOptions } from './follow-operation.js';
export { generateClientCertificate } from './client-certificate.js';
