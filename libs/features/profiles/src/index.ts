export { ProfilesModule } from './profiles.module.js';
export { ProfilesService } from './profiles.service.js';
export { ProfileUsage, type ProfileChange, type ProfileFailure, type ProfileUser } from './profile-usage.registry.js';
export type { ProfileRow } from './profiles.repository.js';
