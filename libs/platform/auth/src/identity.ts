import type { RequestContext } from '#kernel';

/** What is known about the peer of a connection. */
export interface Identity {
  /** User name on the unix socket, certificate fingerprint over TLS; empty when unknown. */
  readonly username: string;
  readonly protocol: 'unix' | 'tls';
  /** `@` for the unix socket, else `ip:port`. */
  readonly address: string;
  readonly trusted: boolean;
  /** Kind of certificate; absent on the unix socket and for the untrusted. `metrics` may only scrape metrics. */
  readonly certificateType?: 'client' | 'server' | 'metrics';
  /** Set when the peer is a member of this cluster: `nodes.id`. */
  readonly memberId?: number;
  /** Projects of a restricted certificate; null = no restriction. */
  readonly allowedProjects: readonly string[] | null;
}

/** A context made from an identity; contexts of internal work have no such field and are unrestricted. */
interface WithAllowedProjects {
  readonly allowedProjects?: readonly string[] | null;
}

/** The projects a caller may use, or null for all of them. */
export function allowedProjectsOf(ctx: RequestContext): readonly string[] | null {
  return (ctx as RequestContext & WithAllowedProjects).allowedProjects ?? null;
}

/** Whether the caller may see and use a project; for lists over all projects. */
export function mayAccessProject(ctx: RequestContext, project: string): boolean {
  const allowed = allowedProjectsOf(ctx);
  return allowed === null || allowed.includes(project);
}
