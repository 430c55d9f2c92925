import type { RequestContext } from '#kernel';
import type { Tx } from '#platform/database';

/** What steps of one operation have returned so far, by the step's name. Steps that do not save (`saveOutput = false`) are absent. */
export type Outputs = Readonly<Record<string, unknown>>;

/** What a step may use besides its parameters. */
export interface StepContext {
  readonly operationId: string;
  /** The requestor's context; its signal is `signal`. */
  readonly ctx: RequestContext;
  /** Aborted when the operation is cancelled or the daemon stops. While undoing it is never aborted. */
  readonly signal: AbortSignal;
  /** Merges into the operation's metadata; sent out a few times per second at most, and never written to the database before the end. */
  progress(metadata: Record<string, unknown>): void;
  /**
   * Call inside the transaction that makes the operation's effect visible. Throws when a cancel was asked for or when this runner has lost
   * its claim; after that transaction a cancel is refused and a restart finishes the operation instead of undoing it (hazards D6).
   */
  commitPoint(tx: Tx): void;
  /** Saves the step's output inside its own transaction, which saves the write at its boundary. Return the same output. */
  save(tx: Tx, output?: unknown): void;
  /** In the last step: ends the operation inside the step's own transaction, which saves the write of its end. Nothing may fail after that one. */
  finish(tx: Tx): void;
}

/**
 * One thing done and its undoing. Both may run more than once, and `undo` must succeed when `run` got only half way or never started,
 * so names of all host objects come from `params`, never from an output alone (hazards D5). A step does one kind of thing: rows, or
 * host, or peer. Parameters and outputs must survive JSON.
 */
export abstract class Step<P = unknown, O = unknown> {
  /** Stored in rows; never renamed within a version of the operation. */
  abstract readonly name: string;
  /** False for a step whose repetition is harmless and whose output nobody needs: saves a write at its boundary. */
  readonly saveOutput: boolean = true;

  abstract run(context: StepContext, params: P, outputs: Outputs): Promise<O>;
  abstract undo(context: StepContext, params: P, output: O | undefined): Promise<void>;
}

/** The `undo` of a step that leaves nothing behind; the reason is for the reader. */
export function nothingToUndo(reason: string): Promise<void> {
  void reason;
  return Promise.resolve();
}
