import { unavailable } from '#kernel';
import { ReplicatedLog, type AppendResult, type LogEntry, type LogHead } from '#platform/raft';

/** Stands for the log of the cluster from the moment the file is opened until the voters' addresses are known: reads are stale, writes wait for nobody. */
export class DisconnectedLog extends ReplicatedLog {
  override append(): Promise<AppendResult> {
    return this.refuse();
  }

  override read(): Promise<readonly LogEntry[]> {
    return this.refuse();
  }

  override latest(): Promise<LogHead> {
    return this.refuse();
  }

  private refuse(): Promise<never> {
    return Promise.reject(unavailable('This member has not connected to its cluster yet'));
  }
}
