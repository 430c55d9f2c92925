import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';

/** Which member this is and how patient it is; `OperationsModule.forRoot` overrides single fields. */
@Injectable()
export class OperationsOptions {
  /** Its id is part of every operation's id, its name is shown as `location`. */
  member = new LocalMember();
  /** How long an ended operation stays visible in `/1.0/operations`, as in LXD. */
  visibleMs = 5000;
  /** Pauses before an undo is tried again; when they are used up it becomes a warning. */
  undoRetryDelaysMs: readonly number[] = [100, 1000, 3000];
  /** Least time between two events about progress of one operation. */
  progressIntervalMs = 250;
  /** Finished rows kept per member; older ones are trimmed. */
  historyRows = 1000;
  /** How often finished in-memory operations are written to the history, in one transaction. */
  historyIntervalMs = 10_000;
}
