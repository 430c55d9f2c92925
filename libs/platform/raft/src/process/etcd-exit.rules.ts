/** How a run of etcd ended. */
export interface EtcdExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of what it said, as far as it is known. */
  readonly tail: string;
}

export type EtcdExitReason =
  /** It gave up on its own data: a second time in a row means that the directory is not this voter's any more (hazards A6). */
  | 'panic'
  /** The others have taken it out of the cluster. */
  | 'removed'
  | 'address-in-use'
  | 'no-space'
  | 'killed'
  | 'other';

const patterns: readonly (readonly [EtcdExitReason, RegExp])[] = [
  ['removed', /permanently removed from the cluster/],
  ['no-space', /no space left on device/],
  ['address-in-use', /address already in use/],
  ['panic', /(^|\n)panic: |tocommit\(|crc mismatch|file out of order|failed to (read WAL|recover v3 backend|find database snapshot)|does not match with the snapshot|"level":"panic"/],
];

/** What an exit means, by what etcd said last; `message` is its own words, short. */
export function explainExit(exit: EtcdExit): { reason: EtcdExitReason; message: string } {
  const reason = patterns.find(([, pattern]) => pattern.test(exit.tail))?.[0] ?? (exit.signal === 'SIGKILL' ? 'killed' : 'other');
  return { reason, message: lastWords(exit, reason) };
}

function lastWords(exit: EtcdExit, reason: EtcdExitReason): string {
  const lines = exit.tail.split('\n').filter((line) => line.trim() !== '');
  const pattern = patterns.find(([name]) => name === reason)?.[1];
  const line = (pattern && lines.find((text) => pattern.test(text))) ?? lines.findLast((text) => /"level":"(fatal|error|panic)"|^panic: /.test(text)) ?? lines.at(-1);
  const ended = exit.signal !== null ? `killed by ${exit.signal}` : exit.code !== null ? `exit code ${exit.code}` : 'gone';
  return line === undefined ? ended : `${ended}: ${plain(line).slice(0, 300)}`;
}

/** The message of a line of JSON, any other line as it is. */
function plain(line: string): string {
  try {
    const { msg, error } = JSON.parse(line) as { msg?: string; error?: string };
    return msg === undefined ? line : error === undefined ? msg : `${msg}: ${error}`;
  } catch {
    return line;
  }
}
