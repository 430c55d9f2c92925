import { Injectable } from '@nestjs/common';
import { notFound, wrap } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { BackupArchives, BackupFiles, toYaml, VolumesService } from '#features/storage';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceSpecs } from '../../instance-specs.js';
import { InstanceSnapshots } from '../../snapshots/instance-snapshots.service.js';
import { BackupYaml } from '../backup-yaml.service.js';
import { InstanceDescription } from '../instance-description.service.js';
import type { CreateBackupParams } from '../backup-operation.params.js';

/** The archive, from the agent's stream to a file of the daemon's. */
@Injectable()
export class WriteBackupStep extends Step<CreateBackupParams, void> {
  readonly name = 'write-archive';
  // Writing it again begins anew.
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly snapshots: InstanceSnapshots,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
    private readonly description: InstanceDescription,
    private readonly yaml: BackupYaml,
    private readonly archives: BackupArchives,
    private readonly files: BackupFiles,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateBackupParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance === undefined) throw notFound('Create backup: Instance not found');
    try {
      // The volume carries its own description into the archive.
      await this.yaml.write(instance);
      await this.archives.pack({
        volume: this.volumes.volumeSpec(this.specs.volumeKey(instance)), optimized: params.optimized, compression: params.compression,
        snapshots: params.instanceOnly ? [] : this.snapshots.list(instance).map(({ name }) => name), index: toYaml(this.description.index(instance, params)),
      }, this.files.instances, params.backupId, context);
    } catch (error) {
      throw wrap(error, 'Create backup: Backup create');
    }
  }

  override async undo(_context: StepContext, { backupId }: CreateBackupParams): Promise<void> {
    await this.files.instances.remove(backupId);
  }
}
