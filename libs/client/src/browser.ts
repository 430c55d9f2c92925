/** What of the client works in browsers. */
export { AppError } from '#kernel';
export { BaseApiClient, type ApiAnswer, type ApiClientOptions, type ApiRequest, type EventMessage, type EventStream, type Guard } from './base-api-client.js';
export { followOperation, type FollowOptions } from './follow-operation.js';
export { WebApiClient } from './web-api-client.js';
