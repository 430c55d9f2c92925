import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { compressorOf } from '#config-schema';
import { internal, messageOf } from '#kernel';
import { VolumeArchives, VolumeTransfer, type PackBackupRequest } from '#ports';
import { openReader, ownEndpoint } from '#platform/agent-client';
import type { OperationHandle } from '#platform/operations';
import { ProjectsService } from '#features/projects';
import { ServerConfig } from '#features/server';
import { byteCounter } from '../transfers/byte-counter.js';
import type { TransferWatch } from '../transfers/volume-carrier.js';
import { BackupFiles, type BackupFolder } from './backup-files.js';
import { readBackupIndex, type BackupIndex } from './backup-index.rules.js';

/** Archives of backups between this host's agent, files of the daemon's and clients. */
@Injectable()
export class BackupArchives {
  constructor(
    private readonly archives: VolumeArchives,
    private readonly transfers: VolumeTransfer,
    private readonly files: BackupFiles,
    private readonly projects: ProjectsService,
    private readonly config: ServerConfig,
  ) {}

  /** The one asked for, else the project's, else the server's. @throws `invalid` for one that is not known. */
  compression(project: string, asked: string | undefined): string {
    const chosen = asked || this.projects.get(project).config['backups.compression_algorithm'] || this.config.get('backups.compression_algorithm');
    compressorOf(chosen);
    return chosen;
  }

  /** The archive is whole, in the folder, under its row's id, when this resolves. */
  async pack(request: Omit<PackBackupRequest, 'endpointUid' | 'endpointGid'>, folder: BackupFolder, id: number, watch: TransferWatch): Promise<void> {
    const { sessionId, path } = await this.archives.packBackup({ ...request, ...ownEndpoint });
    const reader = await openReader(path);
    const sent = this.transfers.waitTransfer(sessionId, watch.signal);
    await folder.write(id, reader, sent, byteCounter((text) => watch.progress({ create_backup_progress: text })));
  }

  /** Keeps what a client sends for as long as the operation lasts that `begin` makes of it. */
  async receive(stream: Readable, begin: (path: string) => Promise<OperationHandle>): Promise<OperationHandle> {
    const path = await this.files.receive(stream);
    try {
      const operation = await begin(path);
      void operation.done.then(() => this.files.forget(path));
      return operation;
    } catch (error) {
      await this.files.forget(path);
      throw error;
    }
  }

  /** Status codes are LXD's, which knows what cannot be read at all only as a failure. */
  async inspect(path: string): Promise<BackupIndex> {
    try {
      return readBackupIndex((await this.archives.inspectBackup(path)).index);
    } catch (error) {
      throw ['Unsupported compression', 'EOF'].includes(messageOf(error)) ? internal(messageOf(error), { cause: error }) : error;
    }
  }
}
