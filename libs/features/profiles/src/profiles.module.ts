import { Module } from '@nestjs/common';
import { ProjectsModule } from '#features/projects';
import { ProfileUsage } from './profile-usage.registry.js';
import { ProfileViews } from './profile-views.service.js';
import { ProfilesController } from './profiles.controller.js';
import { ProfilesRepository } from './profiles.repository.js';
import { ProfilesService } from './profiles.service.js';

@Module({
  imports: [ProjectsModule],
  controllers: [ProfilesController],
  providers: [ProfilesRepository, ProfileUsage, ProfilesService, ProfileViews],
  exports: [ProfilesService, ProfileUsage],
})
export class ProfilesModule {}
