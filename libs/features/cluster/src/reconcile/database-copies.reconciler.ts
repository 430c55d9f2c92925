import { Inject, Injectable, Optional } from '@nestjs/common';
import { internalContext, LocalMember, Logger } from '#kernel';
import { ClusterLog } from '#platform/database';
import { Reconciler } from '#platform/reconcile';
import { MemberLiveness } from '#ports';
import { DatabaseCopies } from '../copies/database-copies.service.js';

/** Compares the copies of the database now and then; the member that leads does. */
@Injectable()
export class DatabaseCopiesReconciler extends Reconciler {
  readonly name = 'database-copies';
  readonly periodMs = 15 * 60_000;

  constructor(
    private readonly copies: DatabaseCopies,
    private readonly log: ClusterLog,
    private readonly local: LocalMember,
    private readonly logger: Logger,
    @Optional() @Inject(MemberLiveness) private readonly liveness: MemberLiveness | null = null,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    if (!this.local.clustered || this.liveness?.leaderId() !== this.local.id || this.log.state().quorum !== 'ok') return;
    const report = await this.copies.compare(internalContext(signal));
    if (report === null) this.logger.debug('Copies of the database could not be compared: somebody writes all the time');
  }
}
