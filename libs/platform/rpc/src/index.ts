export { AgentChannel, type CallOptions } from './client.js';
export { deadlineIn } from './deadline.js';
export { fromServiceError, toServiceError } from './errors.js';
export { buildIdentity, installationRoot, type AgentServiceName } from './protocol.js';
export { AgentServer, type ServiceTable, type StreamHandler, type UnaryHandler } from './server.js';
