import { Injectable } from '@nestjs/common';
import { notFound, wrap } from '#kernel';
import { VolumeArchives, VolumeTransfer } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { byteCounter, VolumesService } from '#features/storage';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { openReader } from '#platform/agent-client';
import { InstanceSpecs } from '../../instance-specs.js';
import { toYaml } from '../../rules/yaml.rules.js';
import { InstanceSnapshots } from '../../snapshots/instance-snapshots.service.js';
import { BackupFiles } from '../backup-files.js';
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
    private readonly archives: VolumeArchives,
    private readonly transfers: VolumeTransfer,
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
      const { sessionId, path } = await this.archives.packBackup({
        volume: this.volumes.volumeSpec(this.specs.volumeKey(instance)), optimized: params.optimized, compression: params.compression,
        snapshots: params.instanceOnly ? [] : this.snapshots.list(instance).map(({ name }) => name), index: toYaml(this.description.index(instance, params)),
        endpointUid: process.getuid?.() ?? 0, endpointGid: process.getgid?.() ?? 0,
      });
      const reader = await openReader(path);
      const sent = this.transfers.waitTransfer(sessionId, context.signal);
      await this.files.write(params.backupId, reader, sent, byteCounter((text) => context.progress({ create_backup_progress: text })));
    } catch (error) {
      throw wrap(error, 'Create backup: Backup create');
    }
  }

  override async undo(_context: StepContext, { backupId }: CreateBackupParams): Promise<void> {
    await this.files.remove(backupId);
  }
}
