import { Injectable } from '@nestjs/common';
import { conflict, notFound } from '#kernel';
import { EventBus } from '#platform/events';
import { LiveOperation, type LiveOperationInit } from './live-operation.js';
import { OperationsOptions } from './operations-options.js';

/** "instance:default/c1" with action "start" reads `Instance is busy running a "start" operation`, LXD's words. */
export function busyText(conflictKey: string, action: string): string {
  const noun = conflictKey.split(':', 1)[0] ?? '';
  return `${noun.charAt(0).toUpperCase()}${noun.slice(1)} is busy running a "${action}" operation`;
}

/**
 * All operations this member has in memory: those under way and those that ended a moment ago. Announces their changes as events and
 * keeps two with the same conflict key from existing at once. Owns no rows.
 */
@Injectable()
export class LiveOperations {
  private readonly byId = new Map<string, LiveOperation>();
  private readonly busy = new Map<string, LiveOperation>();
  private readonly endListeners: ((operation: LiveOperation) => void)[] = [];

  constructor(
    private readonly events: EventBus,
    private readonly options: OperationsOptions,
  ) {}

  /** Takes the conflict key, or refuses with `conflict` in LXD's words. */
  add(init: LiveOperationInit): LiveOperation {
    const holder = init.conflictKey === null ? undefined : this.busy.get(init.conflictKey);
    if (holder !== undefined) throw conflict(busyText(init.conflictKey ?? '', holder.init.action));
    const operation = new LiveOperation(init, this, this.options.progressIntervalMs);
    this.byId.set(init.id, operation);
    if (init.conflictKey !== null) this.busy.set(init.conflictKey, operation);
    return operation;
  }

  /** For an operation whose row was never committed: nobody has heard of it. */
  forget(operation: LiveOperation): void {
    this.byId.delete(operation.id);
    this.free(operation);
  }

  find(id: string): LiveOperation | undefined {
    return this.byId.get(id);
  }

  /** @throws `not-found` in LXD's words. */
  get(id: string): LiveOperation {
    const operation = this.byId.get(id);
    if (operation === undefined) throw notFound('Operation not found');
    return operation;
  }

  holderOf(conflictKey: string): LiveOperation | undefined {
    return this.busy.get(conflictKey);
  }

  /** Of one project, or of all with null; oldest first. */
  list(project: string | null): LiveOperation[] {
    return [...this.byId.values()].filter((operation) => project === null || operation.init.project === project);
  }

  onEnd(listener: (operation: LiveOperation) => void): void {
    this.endListeners.push(listener);
  }

  changed(operation: LiveOperation): void {
    if (this.events.hasListeners('operation')) this.events.operation(operation.api(), operation.init.project);
  }

  ended(operation: LiveOperation): void {
    this.free(operation);
    setTimeout(() => this.byId.delete(operation.id), this.options.visibleMs).unref();
    for (const listener of this.endListeners) listener(operation);
  }

  private free(operation: LiveOperation): void {
    const key = operation.init.conflictKey;
    if (key !== null && this.busy.get(key) === operation) this.busy.delete(key);
  }
}
