import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import type { Sql, Tx } from '#platform/database';
import type { ProfileRow } from './profiles.repository.js';

/** A profile as it was and as it is now. */
export interface ProfileChange {
  readonly before: ProfileRow;
  readonly after: ProfileRow;
}

/** An instance that did not take the change. */
export interface ProfileFailure {
  readonly project: string;
  readonly instance: string;
  readonly error: string;
}

/** A feature whose objects use profiles: instances. */
export interface ProfileUser {
  /** URLs of those that use the profile, in any project. Only reads. */
  usedBy(sql: Sql, profile: ProfileRow): string[];
  /** Inside the transaction, before the change is written: throws to refuse it (a root disk somebody relies on). Only reads. */
  check(tx: Tx, change: ProfileChange): void;
  /** After the change is committed: applies it to what runs. The change stays whatever this says. */
  apply(ctx: RequestContext, change: ProfileChange): Promise<ProfileFailure[]>;
}

/** Who uses profiles. Features above register themselves when their module starts. */
@Injectable()
export class ProfileUsage {
  private readonly users: ProfileUser[] = [];

  register(user: ProfileUser): void {
    this.users.push(user);
  }

  usedBy(sql: Sql, profile: ProfileRow): string[] {
    return this.users.flatMap((user) => user.usedBy(sql, profile));
  }

  check(tx: Tx, change: ProfileChange): void {
    for (const user of this.users) user.check(tx, change);
  }

  async apply(ctx: RequestContext, change: ProfileChange): Promise<ProfileFailure[]> {
    const failures: ProfileFailure[] = [];
    for (const user of this.users) failures.push(...(await user.apply(ctx, change)));
    return failures;
  }
}
