import { InstancePublishing } from './instance-publishing.service.js';

/** What the module of instances takes up for images made from instances. */
export const publishProviders = [InstancePublishing];
