import { statfsSync } from 'node:fs';
import { AppError, internal, messageOf, unavailable } from '#kernel';

/** Primary result codes of sqlite3.h; an extended code carries them in its low byte. */
const busy = 5;
const ioError = 10;
const corrupt = 11;
const full = 13;
const constraint = 19;
const notADatabase = 26;

/** Below this an I/O error is taken for a full disk: SQLite reports some of them (growing the shared memory file) as plain I/O errors. */
const nearlyFullBytes = 1024 * 1024;

function codeOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null) return null;
  const { errcode, driverError } = error as { errcode?: unknown; driverError?: unknown };
  if (typeof errcode === 'number') return errcode & 0xff;
  return driverError === undefined ? null : codeOf(driverError);
}

export function isBusy(error: unknown): boolean {
  return codeOf(error) === busy;
}

/** A violated constraint, from raw SQL or through TypeORM. */
export function isConstraintViolation(error: unknown): boolean {
  return codeOf(error) === constraint;
}

/** True if a row with the same unique columns is there: `isUniqueViolation(e, 'profiles.project_id, profiles.name')`. */
export function isUniqueViolation(error: unknown, columns?: string): boolean {
  if (!isConstraintViolation(error)) return false;
  const match = /UNIQUE constraint failed: (.*)$/.exec(messageOf(error));
  return match !== null && (columns === undefined || match[1] === columns);
}

export function isDiskFull(error: unknown, directory: string): boolean {
  const code = codeOf(error);
  if (code === full || (error as { code?: unknown } | null)?.code === 'ENOSPC') return true;
  return code === ioError && freeBytes(directory) < nearlyFullBytes;
}

/** Bytes an unprivileged process may still write on the file system of `directory`. */
export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** What the caller of a transaction gets to see. Errors thrown on purpose and violated constraints pass as they are. */
export function describeFailure(error: unknown, directory: string): unknown {
  if (error instanceof AppError) return error;
  if (isDiskFull(error, directory)) {
    return unavailable(`Failed committing: no space left on the database's file system (${directory}): free some space and try again`, { cause: error });
  }
  switch (codeOf(error)) {
    case busy:
      return unavailable('Failed committing: the database is locked by another program', { cause: error });
    case corrupt:
    case notADatabase:
      return internal(`The database file below ${directory} is damaged: ${messageOf(error)}`, { cause: error });
    default:
      return error;
  }
}
