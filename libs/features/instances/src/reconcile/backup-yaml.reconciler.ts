import { Injectable } from '@nestjs/common';
import { Reconciler } from '#platform/reconcile';
import { backupYamlReconciler, BackupYaml } from '../backups/backup-yaml.service.js';

/** Descriptions in volumes follow what changes; signalled by each change. */
@Injectable()
export class BackupYamlReconciler extends Reconciler {
  override readonly name = backupYamlReconciler;
  override readonly periodMs = 0;

  constructor(private readonly yaml: BackupYaml) {
    super();
  }

  override run(signal: AbortSignal): Promise<void> {
    return this.yaml.settle(signal);
  }
}
