import { Injectable } from '@nestjs/common';
import { AppError, defaultProject, internal, LocalMember, Logger, messageOf } from '#kernel';
import { ServerDirectories, type ServerDirectory } from '#ports';
import { Database, type Sql } from '#platform/database';
import { ServerConfig } from '#features/server';
import { BackupFiles } from './backups/backup-files.js';
import { CustomVolumeHost } from './custom/custom-volume-host.js';
import { VolumeUsers } from './custom/volume-users.service.js';
import { VolumeSnapshotsRepository } from './data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeKey, type VolumeRow } from './data/volumes.repository.js';
import { PoolsService } from './pools.service.js';
import { VolumeUsage } from './volume-usage.registry.js';

const keys: Readonly<Record<ServerDirectory, string>> = { backups: 'storage.backups_volume', images: 'storage.images_volume' };
const directories = Object.keys(keys) as ServerDirectory[];

/** Volumes of this member in which the server itself keeps its backups and images: `storage.backups_volume`, `storage.images_volume`. */
@Injectable()
export class ServerVolumes {
  constructor(
    private readonly config: ServerConfig,
    private readonly database: Database,
    private readonly pools: PoolsService,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly users: VolumeUsers,
    private readonly usage: VolumeUsage,
    private readonly host: CustomVolumeHost,
    private readonly directories: ServerDirectories,
    private readonly files: BackupFiles,
    private readonly member: LocalMember,
    private readonly logger: Logger,
  ) {}

  register(): void {
    for (const directory of directories) {
      this.config.registerCheck(keys[directory], (value) => this.check(directory, value));
      this.config.registerApplier(keys[directory], (value) => this.place(directory, value));
    }
    this.usage.registerOwn((volume) => this.isUsed(volume));
  }

  /** For the daemon's start, once pools are mounted: finishes or takes back what was cut short. */
  async settle(): Promise<void> {
    for (const directory of directories) {
      try {
        await this.place(directory, this.config.get(keys[directory]));
      } catch (error) {
        this.logger.warn(`Failed to use the volume for ${directory}`, { volume: this.config.get(keys[directory]), error: messageOf(error) });
      }
    }
    await this.files.removeImports();
  }

  private isUsed({ pool, project, type, name, memberId }: VolumeKey): boolean {
    if (type !== 'custom' || project !== defaultProject || (memberId ?? this.member.id) !== this.member.id) return false;
    return directories.some((directory) => this.config.get(keys[directory]) === `${pool}/${name}`);
  }

  /** @throws in LXD's words. */
  private async check(directory: ServerDirectory, value: string): Promise<void> {
    try {
      const row = this.find(this.database.read, value);
      const shown = `Storage volume "${value}" in "${defaultProject}" project`;
      if (row.contentType !== 'filesystem') throw internal(`${shown} is not filesystem content type`);
      if (this.snapshots.list(this.database.read, row.id).length > 0) throw internal('Storage volumes for use by LXD itself cannot have snapshots');
      if (this.config.get(keys[directory]) === value) return;
      if (!(await this.directories.isEmptyVolume(this.host.spec(row)))) throw internal(`Storage volume "${value}" isn't empty`);
      // What instances can write to the server must not follow.
      if (this.users.isUsed(this.database.read, row)) throw internal(`${shown} is in use`);
    } catch (error) {
      throw internal(`Failed validation of "${keys[directory]}": ${messageOf(error)}`, { cause: error });
    }
  }

  private async place(directory: ServerDirectory, value: string): Promise<void> {
    const volume = value === '' ? null : this.host.spec(this.find(this.database.read, value));
    const place = (): Promise<void> => this.directories.placeDirectory(directory, volume);
    await (directory === 'backups' ? this.files.moving(place) : place());
  }

  private find(sql: Sql, value: string): VolumeRow {
    const [pool = '', name = '', ...rest] = value.split('/');
    if (pool === '' || name === '' || rest.length > 0) throw internal('Invalid syntax for volume, must be <pool>/<volume>');
    try {
      this.pools.get(pool);
    } catch (error) {
      throw AppError.is(error, 'not-found') ? internal(`Unable to load storage pool "${pool}": ${messageOf(error)}`, { cause: error }) : error;
    }
    const row = this.volumes.findCreated(sql, { pool, project: defaultProject, type: 'custom', name });
    if (row === undefined) throw internal(`Failed loading storage volume "${value}" in "${defaultProject}" project: Storage volume not found`);
    return row;
  }
}
