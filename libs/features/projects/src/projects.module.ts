import { Module } from '@nestjs/common';
import { ProjectsRepository } from './data/projects.repository.js';
import { ProjectContentRepository } from './limits/project-content.repository.js';
import { ProjectLimits } from './limits/project-limits.service.js';
import { ProjectUsage } from './project-usage.registry.js';
import { ProjectViews } from './project-views.service.js';
import { ProjectsController } from './projects.controller.js';
import { ProjectsService } from './projects.service.js';

@Module({
  controllers: [ProjectsController],
  providers: [ProjectContentRepository, ProjectLimits, ProjectsRepository, ProjectUsage, ProjectsService, ProjectViews],
  exports: [ProjectLimits, ProjectsService, ProjectUsage],
})
export class ProjectsModule {}
