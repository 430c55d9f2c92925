export { ProjectsModule } from './projects.module.js';
export { ProjectsService } from './projects.service.js';
export { ProjectLimits, ProjectRefusal, type LimitedChange } from './limits/project-limits.service.js';
export { restrictedParentOf } from './limits/restrictions.rules.js';
export { ProjectUsage, type FeatureHook, type ProjectNoun, type ProjectUsers } from './project-usage.registry.js';
export type { ProjectRow } from './data/projects.repository.js';
