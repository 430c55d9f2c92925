import { internal } from '#kernel';
import type { Operation } from '#api-types';

/** A scheduled operation, as a controller hands it to `operationResponse`. */
export interface OperationHandle {
  readonly id: string;
  /** The wire shape as of now. */
  api(): Operation;
  /** The wire shape when it has ended, or as of the time-out. -1 waits for ever; milliseconds otherwise. Never rejects for a failed operation. */
  wait(timeoutMs?: number): Promise<Operation>;
  /** Resolves when it has ended, however it ended. */
  readonly done: Promise<void>;
}

/** Waits for an operation. @throws `internal` with its error when it did not succeed. */
export async function succeeded(operation: OperationHandle): Promise<void> {
  await operation.done;
  const { status, err } = operation.api();
  if (status !== 'Success') throw internal(err);
}
