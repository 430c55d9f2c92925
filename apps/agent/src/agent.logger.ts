import { Logger, type LogFields } from '#kernel';

const order = { debug: 0, info: 1, warn: 2, error: 3 } as const;
type Level = keyof typeof order;

/** One JSON line per message on standard error, in the daemon's format; whoever started the agent decides where that goes. */
export class AgentLogger extends Logger {
  constructor(private readonly level: Level) { super(); }

  override debug(message: string, fields?: LogFields): void { this.write('debug', message, fields); }
  override info(message: string, fields?: LogFields): void { this.write('info', message, fields); }
  override warn(message: string, fields?: LogFields): void { this.write('warn', message, fields); }
  override error(message: string, fields?: LogFields): void { this.write('error', message, fields); }

  private write(level: Level, message: string, fields: LogFields = {}): void {
    if (order[level] < order[this.level]) return;
    process.stderr.write(`${JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg: message })}\n`);
  }
}
