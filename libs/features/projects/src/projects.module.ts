import { Module } from '@nestjs/common';
import { ProjectsRepository } from './data/projects.repository.js';
import { ProjectUsage } from './project-usage.registry.js';
import { ProjectViews } from './project-views.service.js';
import { ProjectsController } from './projects.controller.js';
import { ProjectsService } from './projects.service.js';

@Module({
  controllers: [ProjectsController],
  providers: [ProjectsRepository, ProjectUsage, ProjectsService, ProjectViews],
  exports: [ProjectsService, ProjectUsage],
})
export class ProjectsModule {}
