import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { InstanceDriver } from '#ports';
import { hostName } from '../instance-urls.js';
import type { CopySource } from './copy-operation.params.js';

/** A source that runs on this host, held still while its files are copied one by one. */
@Injectable()
export class FrozenSource {
  constructor(private readonly driver: InstanceDriver) {}

  async during(source: CopySource, work: () => Promise<void>): Promise<void> {
    if (source.freeze) await this.driver.freezeInstance(hostName(source.volume)).catch(unlessStopped);
    try {
      await work();
    } finally {
      await this.release(source);
    }
  }

  /** Also after a daemon that was killed in between. */
  async release(source: CopySource): Promise<void> {
    if (source.freeze) await this.driver.unfreezeInstance(hostName(source.volume)).catch(unlessStopped);
  }
}

/** It may have been stopped meanwhile, which nobody can be refused. */
function unlessStopped(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
