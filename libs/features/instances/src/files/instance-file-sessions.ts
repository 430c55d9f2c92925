import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { AppError } from '#kernel';
import { ownEndpoint } from '#platform/agent-client';
import { InstanceFiles, type FileView } from '#ports';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { SftpClient } from './sftp-client.js';

const tries = 3;
const pauseMs = 50;
/** How long a connection waits for the next request. The server itself goes when nobody has one for ten seconds. */
const idleMs = 3000;

/** Connections to the files of instances of this member. */
@Injectable()
export class InstanceFileSessions implements OnModuleDestroy {
  /** By instance; each was used once at least and may be used again. */
  private readonly idle = new Map<number, { readonly client: SftpClient; readonly timer: NodeJS.Timeout }>();

  constructor(
    private readonly files: InstanceFiles,
    private readonly specs: InstanceSpecs,
    private readonly states: PowerStates,
  ) {}

  onModuleDestroy(): void {
    for (const { client, timer } of this.idle.values()) {
      clearTimeout(timer);
      client.close();
    }
    this.idle.clear();
  }

  /** `connect` gets the socket's path. A server that ended just now, for want of use, is asked for again. */
  async open<T>(instance: ExpandedInstance, view: FileView, connect: (path: string) => Promise<T>): Promise<T> {
    const request = { spec: this.specs.build(instance), view, ...ownEndpoint };
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

  /**
   * A connection for `work` alone; it is closed when that is done, unless it says that it keeps it. That of a running instance waits a moment for the next request: it is lost with
   * that run, so it never shows anything else. What a stopped one's name stands for may change at any time.
   */
  async use<T>(instance: ExpandedInstance, view: FileView, work: (client: SftpClient, keep: () => void) => Promise<T>): Promise<T> {
    const { id } = instance.row;
    const lasting = view === 'instance' && this.states.isRunning(hostName(instance.row));
    const client = (lasting ? this.take(id) : null) ?? (await this.open(instance, view, (path) => SftpClient.connect(path)));
    let kept = false;
    try {
      return await work(client, () => { kept = true; });
    } finally {
      if (lasting && !kept && client.isUsable) this.giveBack(id, client);
      else if (!kept) client.close();
    }
  }

  private take(id: number): SftpClient | null {
    const found = this.idle.get(id);
    if (found === undefined) return null;
    clearTimeout(found.timer);
    this.idle.delete(id);
    return found.client.isUsable ? found.client : null;
  }

  private giveBack(id: number, client: SftpClient): void {
    if (this.idle.has(id)) return client.close();
    client.release();
    this.idle.set(id, { client, timer: setTimeout(() => this.take(id)?.close(), idleMs).unref() });
    client.onceLost(() => this.idle.get(id)?.client === client && this.take(id));
  }
}
