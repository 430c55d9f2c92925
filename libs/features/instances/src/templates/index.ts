import { InstanceMetadataService } from './instance-metadata.service.js';
import { InstanceTemplates } from './instance-templates.service.js';

export { InstanceTemplates } from './instance-templates.service.js';

export const templateProviders = [InstanceMetadataService, InstanceTemplates];
