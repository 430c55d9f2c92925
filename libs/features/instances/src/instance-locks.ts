import { Injectable } from '@nestjs/common';
import { conflict, wrap } from '#kernel';

export type LockAction = 'start' | 'stop' | 'restart' | 'freeze' | 'unfreeze' | 'update' | 'rename' | 'delete' | 'create' | 'restore' | 'migrate' | 'rebuild';

/** One piece of work on an instance's power or configuration, under way. */
export class InstanceLock {
  /** Resolves when the work has ended, however. */
  readonly done: Promise<void>;
  /** A forced stop or restart has come in between: what is under way must not start the instance again. */
  overridden: 'stop' | 'restart' | null = null;
  private readonly settle: () => void;
  private users = 1;

  constructor(
    readonly action: LockAction,
    private readonly onFree: () => void,
    /** An update that reaches the host, and may take its row back: no other runs beside it. */
    readonly exclusive: boolean,
  ) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.settle = resolve;
  }

  /** A second request of the same kind that waits for the same thing. */
  join(): this {
    this.users++;
    return this;
  }

  release(): void {
    if (--this.users > 0) return;
    this.onFree();
    this.settle();
  }
}

/**
 * At most one power change or update of an instance at a time. In memory: they are work of this process, and of this member, which
 * alone may touch the instance.
 */
@Injectable()
export class InstanceLocks {
  private readonly held = new Map<number, InstanceLock>();

  holder(id: number): InstanceLock | undefined {
    return this.held.get(id);
  }

  /** Whether somebody is starting it, or will with what is under way. */
  startsUp(id: number): boolean {
    const action = this.held.get(id)?.action;
    return action === 'start' || action === 'restart';
  }

  /** @throws `conflict` in LXD's words when something else is under way. */
  acquire(id: number, action: LockAction, exclusive = true): InstanceLock {
    const holder = this.held.get(id);
    if (holder !== undefined) throw busy(holder, action);
    const lock = new InstanceLock(action, () => {
      if (this.held.get(id) === lock) this.held.delete(id);
    }, exclusive);
    this.held.set(id, lock);
    return lock;
  }

  /** Like `acquire`, but work whose action is among `sharing` is joined instead of refused. */
  acquireOrJoin(id: number, action: LockAction, sharing: readonly LockAction[]): InstanceLock {
    const holder = this.held.get(id);
    return holder !== undefined && sharing.includes(holder.action) ? holder.join() : this.acquire(id, action);
  }

  /** Updates of rows alone run side by side (each decides in its own transaction); one that reaches the host runs by itself. */
  async acquireUpdate(id: number, exclusive: boolean): Promise<InstanceLock> {
    for (;;) {
      const holder = this.held.get(id);
      if (holder?.action !== 'update') return this.acquire(id, 'update', exclusive);
      if (!exclusive && !holder.exclusive) return holder.join();
      await holder.done;
    }
  }
}

/** In LXD's words, which differ by what is refused. */
function busy(holder: InstanceLock, action: LockAction): Error {
  const error = conflict(`Instance is busy running a "${holder.action}" operation`);
  if (action === 'stop') return error;
  return wrap(error, action === 'restart' ? 'Create restart operation' : `Failed to create instance ${action} operation`);
}
