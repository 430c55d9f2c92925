import { AppError } from '#kernel';

/** The program is not installed (or not in PATH). */
export class CommandNotFoundError extends AppError {
  constructor(readonly argv: readonly string[]) {
    super('internal', `Command "${argv[0] ?? ''}" is not installed on this host`, { details: { argv: [...argv] } });
    this.name = 'CommandNotFoundError';
  }
}

/** The program ran longer than its caller allows, and was killed with its process group. */
export class CommandTimeoutError extends AppError {
  constructor(readonly argv: readonly string[], readonly timeoutMs: number) {
    super('unavailable', `Command "${argv.join(' ')}" did not end within ${timeoutMs} ms`, { details: { argv: [...argv], timeoutMs } });
    this.name = 'CommandTimeoutError';
  }
}

/** The program ended with an exit code its caller does not accept, or by a signal. */
export class CommandFailedError extends AppError {
  constructor(readonly argv: readonly string[], readonly exitCode: number | null, readonly signal: string | null, readonly stderrTail: string) {
    const how = signal === null ? `exit status ${exitCode}` : `signal ${signal}`;
    super('internal', `Failed to run: ${argv.join(' ')}: ${how}${stderrTail === '' ? '' : ` (${stderrTail})`}`, {
      details: { argv: [...argv], exitCode, signal, stderrTail },
    });
    this.name = 'CommandFailedError';
  }
}

/** The program said something its parser does not know. */
export class OutputParseError extends AppError {
  constructor(readonly argv: readonly string[], readonly line: string) {
    super('internal', `Cannot read the output of "${argv.join(' ')}": ${JSON.stringify(line)}`, { details: { argv: [...argv], line } });
    this.name = 'OutputParseError';
  }
}
