import { Writable } from 'node:stream';
import { pino, type Logger as Pino } from 'pino';
import { Logger, type LogFields } from '#kernel';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** The daemon's logger: lines to a file or standard error, and every message to whoever listens on the event stream. */
export class PinoLogger extends Logger {
  private readonly pino: Pino;
  /** Set once the event bus exists. */
  onMessage: ((level: Level, message: string, fields: LogFields) => void) | undefined;

  constructor(level: string, file: string) {
    super();
    const destination = file === '' ? pino.destination({ fd: 2, sync: true }) : pino.destination({ dest: file, append: true, mkdir: true, sync: false, minLength: 0 });
    this.pino = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } }, destination as Writable & typeof destination);
  }

  override debug(message: string, fields: LogFields = {}): void { this.write('debug', message, fields); }
  override info(message: string, fields: LogFields = {}): void { this.write('info', message, fields); }
  override warn(message: string, fields: LogFields = {}): void { this.write('warn', message, fields); }
  override error(message: string, fields: LogFields = {}): void { this.write('error', message, fields); }

  private write(level: Level, message: string, fields: LogFields): void {
    this.pino[level](fields, message);
    this.onMessage?.(level, message, fields);
  }
}
