export { ApiClient, type ApiAnswer, type ApiClientOptions, type ApiEndpoint, type ApiRequest, type EventMessage, type Guard } from './api-client.js';
export { HttpTransport, readText, type HttpRequest } from './http-transport.js';
export { proxyFor, type ConnectionSettings, type ProxySettings } from './connections.js';
export { fingerprintOf, resolveJoinToken, shownCertificate, whyNoToken, type ResolvedToken } from './join-token.js';
export { ClientConfig, remote, type ClientConfigOptions, type Remote } from './client-config.js';
export { followOperation, type FollowOptions } from './follow-operation.js';
export { generateClientCertificate } from './client-certificate.js';
