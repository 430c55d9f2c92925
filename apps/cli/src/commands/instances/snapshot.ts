import { AppError, invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { writableInstance } from '../instance-shape.js';

export const snapshot: Run = async (invocation) => {
  const { flags } = invocation;
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name.includes('/')) throw invalid('Invalid instance name');
  const wanted = invocation.arg(1);
  if (flags.bool('reuse') && wanted !== '') {
    const path = url(['instances', name, 'snapshots', wanted]);
    const exists = await server.get(path).then(() => true, (error: unknown) => {
      if (AppError.is(error, 'not-found')) return false;
      throw error;
    });
    if (exists) await invocation.run(server, 'DELETE', path);
  }
  const body = { name: wanted, stateful: flags.bool('stateful'), ...(flags.bool('no-expiry') ? { expires_at: '0001-01-01T00:00:00Z' } : {}) };
  await invocation.run(server, 'POST', url(['instances', name, 'snapshots']), body);
};

export const restore: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const wanted = invocation.arg(1);
  const restoreName = wanted.includes('/') ? wanted : `${name}/${wanted}`;
  const path = url(['instances', name]);
  const { value } = await server.fetch<object>(path);
  await invocation.run(server, 'PUT', path, { ...writableInstance(value), restore: restoreName, stateful: invocation.flags.bool('stateful') });
};
