import { assert } from '#kernel';
import type { Step } from './step.js';

/** A Nest provider class of a step. */
// Constructor parameters are the container's business, and parameters are contravariant, hence `any`.
export type StepClass<P> = abstract new (...args: any[]) => Step<P, any>;

export interface OperationDefinition<P = unknown> {
  /** `instance.create`: noun and verb; stored in rows. */
  readonly kind: string;
  /** Raised when the list of steps or the parameters change; the older one stays registered for one schema level (hazards D5). */
  readonly version: number;
  /** As LXD shows it: `Creating instance`. */
  readonly description: string;
  /** Operations with the same key exclude each other: `instance:default/c1`. Null: never in anybody's way. */
  readonly conflictsWith: (params: P) => string | null;
  /** Verb for `Instance is busy running a "start" operation`; the last part of `kind` unless given. */
  readonly action?: string;
  /** What a new process does with one that was under way: go on, or undo and fail. Past its commit point it always goes on. */
  readonly restart: 'resume' | 'unwind';
  /** Whether the wire says `may_cancel`; cancelling works on all until their commit point. Default true. */
  readonly mayCancel?: boolean;
  readonly steps: readonly StepClass<P>[];
  /** Final `metadata` fields derived from outputs, merged before the operation is reported as done. */
  readonly result?: (params: P, outputs: Readonly<Record<string, unknown>>) => Record<string, unknown>;
}

/** Checks a definition when its module is loaded, so that a mistake stops the start and not a request. */
export function defineOperation<P>(definition: OperationDefinition<P>): OperationDefinition<P> {
  assert(/^[a-z-]+(\.[a-z-]+)+$/.test(definition.kind), `operation kind "${definition.kind}" is not of the form noun.verb`);
  assert(definition.version >= 1, `operation "${definition.kind}" needs a version`);
  assert(definition.description !== '', `operation "${definition.kind}" needs a description`);
  assert(definition.steps.length > 0, `operation "${definition.kind}" has no steps`);
  return definition;
}
