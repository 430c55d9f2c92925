import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { InstanceFiles, type FileView } from '#ports';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSpecs } from '../instance-specs.js';
import { SftpClient } from './sftp-client.js';

const tries = 3;
const pauseMs = 50;

/** Connections to the files of instances of this member. */
@Injectable()
export class InstanceFileSessions {
  constructor(
    private readonly files: InstanceFiles,
    private readonly specs: InstanceSpecs,
  ) {}

  /** `connect` gets the socket's path. A server that ended just now, for want of use, is asked for again. */
  async open<T>(instance: ExpandedInstance, view: FileView, connect: (path: string) => Promise<T>): Promise<T> {
    const request = { spec: this.specs.build(instance), view, endpointUid: process.getuid?.() ?? 0, endpointGid: process.getgid?.() ?? 0 };
    for (let attempt = 1; ; attempt++) {
      const { path } = await this.files.openFiles(request);
      try {
        return await connect(path);
      } catch (error) {
        if (!AppError.is(error, 'unavailable') || attempt === tries) throw error;
        await sleep(pauseMs);
      }
    }
  }

  /** A connection for `work` alone; it is closed when that is done, unless it says that it keeps it. */
  async use<T>(instance: ExpandedInstance, view: FileView, work: (client: SftpClient, keep: () => void) => Promise<T>): Promise<T> {
    const client = await this.open(instance, view, (path) => SftpClient.connect(path));
    let kept = false;
    try {
      return await work(client, () => { kept = true; });
    } finally {
      if (!kept) client.close();
    }
  }
}
