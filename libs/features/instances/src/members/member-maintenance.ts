import { Injectable } from '@nestjs/common';
import { forbidden, LocalMember } from '#kernel';
import { Database } from '#platform/database';

/** Whether this member is out of use for now: nothing is started on it, by nobody. */
@Injectable()
export class MemberMaintenance {
  constructor(
    private readonly database: Database,
    private readonly self: LocalMember,
  ) {}

  evacuated(): boolean {
    if (!this.self.clustered) return false;
    return this.database.read.get<{ state: string }>('SELECT state FROM nodes WHERE id = ?', this.self.id)?.state === 'evacuated';
  }

  /** @throws `forbidden` in LXD's words. */
  assertInUse(): void {
    if (this.evacuated()) throw forbidden('Cluster member is evacuated');
  }
}
