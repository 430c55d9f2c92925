import { notFound } from '#kernel';
import type { Database, Sql } from '#platform/database';
import type { ProjectsService } from '#features/projects';

/** Projects that all have volumes of their own. */
export function ownVolumes(database: Database): ProjectsService {
  const projects: Pick<ProjectsService, 'volumeProject'> = {
    volumeProject: (name: string, sql: Sql = database.read) => {
      if (sql.get('SELECT 1 FROM projects WHERE name = ?', name) === undefined) throw notFound('Project not found');
      return name;
    },
  };
  return projects as ProjectsService;
}
