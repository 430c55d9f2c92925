import type { InstanceType } from '#api-types';

/** A backup of one instance, by what stays whatever becomes of the instance's name meanwhile. */
export interface CreateBackupParams {
  /** The instance's. */
  readonly id: number;
  readonly project: string;
  /** The instance's. */
  readonly name: string;
  readonly type: InstanceType;
  readonly backup: string;
  /** The row's; 0 until its reservation has written it. */
  backupId: number;
  readonly instanceOnly: boolean;
  readonly optimized: boolean;
  /** As `compressorOf` takes it. */
  readonly compression: string;
}
