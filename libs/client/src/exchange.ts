/** A request whose body and answer are kept in memory as a whole. */
export interface Exchange {
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** Gives up when no byte arrives for this long; absent: never. */
  readonly idleTimeoutMs?: number;
}

export interface ExchangeAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The longest answer kept in memory. */
export const longestAnswer = 64 * 1024 * 1024;

/** How errors name a request. Example: `Get "https://10.0.0.1:8443/1.0"` */
export function describeRequest(method: string, url: string): string {
  return `${method[0]}${method.slice(1).toLowerCase()} "${url}"`;
}
