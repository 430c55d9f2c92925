import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { parseVolume, poolOf, volumeUrl } from './volume-names.js';

export const snapshot: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const volume = parseVolume(invocation.arg(1));
  if (volume.type !== 'custom') throw invalid('Only "custom" volumes can be snapshotted');
  await server.get(volumeUrl(invocation, pool, volume));
  const name = invocation.arg(2);
  const body: Record<string, unknown> = { name };
  if (invocation.flags.bool('no-expiry')) body['expires_at'] = '0001-01-01T00:00:00Z';
  if (invocation.flags.bool('reuse') && name !== '') {
    const path = volumeUrl(invocation, pool, { ...volume, snapshot: name });
    if (await server.get(path).then(() => true, () => false)) await invocation.run(server, 'DELETE', path);
  }
  await invocation.run(server, 'POST', volumeUrl(invocation, pool, volume, ['snapshots']), body);
};

export const restore: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const path = volumeUrl(invocation, pool, parseVolume(invocation.arg(1)));
  const { etag } = await server.fetch(path);
  await invocation.run(server, 'PUT', path, { config: null, description: '', restore: invocation.arg(2) }, '', { 'if-match': etag });
};
