import type { IncomingHttpHeaders } from 'node:http';
import type { Identity } from './identity.js';

/** Says that a member sent the request on for somebody; with LXD's names where LXD has one. */
const marker = 'x-roost-forwarded';
const names = { address: 'x-lxd-forwarded-address', username: 'x-lxd-forwarded-username', protocol: 'x-lxd-forwarded-protocol', projects: 'x-roost-forwarded-projects', untrusted: 'x-roost-forwarded-untrusted' } as const;

/** Headers a member adds to a request it sends on. */
export function forwardingHeaders(identity: Identity): Record<string, string> {
  return {
    [marker]: '1', [names.address]: identity.address, [names.username]: identity.username, [names.protocol]: identity.protocol,
    ...(identity.trusted ? {} : { [names.untrusted]: '1' }),
    ...(identity.allowedProjects === null ? {} : { [names.projects]: JSON.stringify(identity.allowedProjects) }),
  };
}

/** Whether a member of this cluster sent the request on. Nobody else's word counts. */
export function isForwarded(identity: Identity, headers: IncomingHttpHeaders): boolean {
  return identity.memberId !== undefined && headers[marker] === '1';
}

/** Who asked in the first place. */
export function originalIdentity(identity: Identity, headers: IncomingHttpHeaders): Identity {
  if (!isForwarded(identity, headers)) return identity;
  const text = (name: string): string => String(headers[name] ?? '');
  const projects = headers[names.projects];
  return {
    username: text(names.username), protocol: text(names.protocol) === 'unix' ? 'unix' : 'tls', address: text(names.address), trusted: headers[names.untrusted] !== '1',
    allowedProjects: typeof projects === 'string' ? (JSON.parse(projects) as string[]) : null, memberId: identity.memberId!,
  };
}

/** Removes what only members may say, before a request is sent on. */
export function withoutForwarding(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const copy = { ...headers };
  for (const name of [marker, ...Object.values(names)]) delete copy[name];
  return copy;
}
