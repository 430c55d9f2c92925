import { Injectable } from '@nestjs/common';
import { unavailable } from '#kernel';

/**
 * What `/internal/ready` and `/internal/shutdown` know of the daemon's life; the app says when it is ready and how it ends.
 */
@Injectable()
export class DaemonControl {
  private ready = false;
  private shutdown: ((force: boolean) => Promise<void>) | undefined;

  /** Instances are handled and the API may be relied on. */
  markReady(): void {
    this.ready = true;
  }

  /** `hook` stops instances cleanly and then ends the process; the client is answered when it resolves. */
  onShutdown(hook: (force: boolean) => Promise<void>): void {
    this.shutdown = hook;
  }

  assertReady(): void {
    if (!this.ready) throw unavailable('Daemon is not ready yet');
  }

  async requestShutdown(force: boolean): Promise<void> {
    if (this.shutdown === undefined) throw unavailable('Daemon is not ready yet');
    await this.shutdown(force);
  }
}
