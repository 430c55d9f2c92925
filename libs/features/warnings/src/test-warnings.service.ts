import { Injectable } from '@nestjs/common';
import { internal, invalid, notFound, type RequestContext } from '#kernel';
import { Database } from '#platform/database';
import { isWarningType } from './warning-types.rules.js';
import { WarningsWriter } from './warnings-writer.js';

/** As `POST /internal/testing/warnings` brings it. */
export interface TestWarning {
  readonly location: string;
  readonly project: string;
  readonly entity_type_code: number;
  readonly entity_id: number;
  readonly type_code: number;
  readonly message: string;
}

/** LXD's numbers for kinds of objects, of those a warning can be about here (asked of LXD 5.0.2). */
const entityTypes: Readonly<Record<number, string>> = { 0: 'instance', 2: 'profile', 3: 'project', 5: 'instance', 8: 'network', 10: 'node', 12: 'storage_pool' };
const tables: Readonly<Record<string, string>> = {
  instance: 'instances', profile: 'profiles', project: 'projects', network: 'networks', node: 'nodes', storage_pool: 'storage_pools',
};
const noEntity = -1;
const lastEntityType = 17;

/** Warnings that a test asks for, so that what shows and settles them can be tried. */
@Injectable()
export class TestWarnings {
  constructor(
    private readonly database: Database,
    private readonly writer: WarningsWriter,
  ) {}

  async write(ctx: RequestContext, warning: TestWarning): Promise<void> {
    const entityType = this.entityType(warning);
    const projectId = this.idOf('projects', warning.project);
    if (projectId === undefined) throw internal(`Failed to create warning: Unknown project "${warning.project}"`);
    const nodeId = this.idOf('nodes', warning.location);
    if (nodeId === undefined) throw notFound('Failed to create warning: Failed to get node: Cluster member not found');
    if (!isWarningType(warning.type_code)) throw internal(`Failed to create warning: Unknown warning type code ${warning.type_code}`);
    await this.writer.write(ctx, {
      typeCode: warning.type_code, nodeId: nodeId ?? 0, projectId, entityType, entityId: entityType === '' ? null : warning.entity_id, message: warning.message,
    });
  }

  private entityType({ entity_type_code: code, entity_id: id }: TestWarning): string {
    if (code === noEntity) return '';
    if (code < noEntity || code > lastEntityType) throw internal('Invalid entity type');
    const type = entityTypes[code];
    if (type === undefined) throw invalid(`Failed to create warning: Warnings about entities with type code ${code} are not known`);
    if (this.database.read.get(`SELECT 1 FROM ${tables[type]} WHERE id = ?`, id) === undefined) {
      throw notFound(`Failed to create warning: Failed to get URI for entity ID ${id} with entity type code ${code}: Not found`);
    }
    return type;
  }

  /** Null for no name, undefined for nobody's. */
  private idOf(table: 'projects' | 'nodes', name: string): number | null | undefined {
    if (name === '') return null;
    return this.database.read.get<{ id: number }>(`SELECT id FROM ${table} WHERE name = ?`, name)?.id;
  }
}
