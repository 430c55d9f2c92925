import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { kind } from './members.js';

function changeRoles(change: (now: readonly string[], roles: readonly string[], member: string) => readonly string[]): Run {
  return async (invocation) => {
    const { server, name } = await invocation.place(invocation.arg(0));
    if (name === '') throw invalid('Missing cluster member name');
    const path = url(['cluster', 'members', name]);
    const { value, etag } = await server.fetch<Record<string, unknown> & { roles: string[] | null }>(path);
    const roles = change(value.roles ?? [], invocation.arg(1).split(','), name);
    await invocation.run(server, 'PUT', path, { ...kind.writable(value), roles }, '', { 'if-match': etag });
  };
}

export const add = changeRoles((now, roles, member) => {
  for (const role of roles) if (now.includes(role)) throw invalid(`Member "${member}" already has role "${role}"`);
  return [...now, ...roles];
});

export const remove = changeRoles((now, roles, member) => {
  for (const role of roles) if (!now.includes(role)) throw invalid(`Member "${member}" does not have role "${role}"`);
  return now.filter((role) => !roles.includes(role));
});
