import { newUuid } from './ids.js';

/** Who asked. `protocol` is `unix`, `tls`, or `internal` for work the daemon starts by itself. */
export interface Requestor {
  readonly username: string;
  readonly protocol: 'unix' | 'tls' | 'internal';
  /** Peer address as `@` for the unix socket, `ip:port` over the network, empty for internal work. */
  readonly address: string;
}

/**
 * Carried as the first parameter from the controller down. `project` is the one the request named (default `default`).
 */
export interface RequestContext {
  readonly requestId: string;
  readonly project: string;
  readonly requestor: Requestor;
  /** False for callers that may only use the public part of the API. */
  readonly trusted: boolean;
  readonly signal: AbortSignal;
  /**
   * True: the request was let in without waiting until what was written elsewhere before it is seen here. Its transaction makes up for that: what is appended is
   * thereby known to rest on the newest rows, and any other outcome is told only after such a wait.
   */
  readonly unconfirmed?: boolean;
}

export const defaultProject = 'default';

/** A context for work that no request started: start-up, reconcilers, adoption after a restart. */
export function internalContext(signal: AbortSignal = new AbortController().signal, project = defaultProject): RequestContext {
  return { requestId: newUuid(), project, requestor: { username: '', protocol: 'internal', address: '' }, trusted: true, signal };
}

/**
 * The same request, about another project. Spreading a context would lose what a request computes on first use (id, requestor, signal), which
 * are getters of its class.
 */
export function withProject<C extends RequestContext>(ctx: C, project: string): C {
  if (ctx.project === project) return ctx;
  // The original is the receiver: what a getter computes is kept there, so that both have the same id and the same signal.
  return new Proxy(ctx, { get: (original, key) => (key === 'project' ? project : Reflect.get(original, key, original)) });
}
