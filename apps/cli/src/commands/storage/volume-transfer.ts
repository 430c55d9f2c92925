import { existsSync } from 'node:fs';
import { invalid, wrap } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { nameOf, url } from '../../server.js';
import { contentOf, lengthHeader, receiveFile, sendCounted } from '../../terminal/transfers.js';
import { migrate } from '../instances/transfer.js';
import { parseVolume, poolOf, volumeUrl } from './volume-names.js';
import type { VolumeView } from './volume.js';

interface Place { readonly remote: string; readonly pool: string; readonly volume: string }

function placeOf(invocation: Invocation, text: string, what: string): Place {
  const { remote, name } = invocation.parse(text);
  const slash = name.indexOf('/');
  if (slash < 0) throw invalid(`No storage pool for ${what} volume specified`);
  return { remote, pool: name.slice(0, slash), volume: name.slice(slash + 1) };
}

export const copy: Run = (invocation) => transfer(invocation, false);

export const move: Run = (invocation) => transfer(invocation, true);

async function transfer(invocation: Invocation, moving: boolean): Promise<void> {
  const { flags } = invocation;
  const source = placeOf(invocation, invocation.arg(0), 'source');
  const destination = placeOf(invocation, invocation.arg(1), 'target');
  const from = await invocation.server(source.remote);
  const to = await invocation.server(destination.remote);
  const target = flags.text('target');
  const destinationTarget = flags.text('destination-target');
  if ((target !== '' && !from.clustered) || (destinationTarget !== '' && !to.clustered)) throw invalid('To use --target, the destination remote must be a cluster');
  const { name, snapshot, type } = parseVolume(source.volume);
  if (type !== 'custom') throw invalid('Only "custom" volumes can be copied');
  const wanted = parseVolume(destination.volume);
  if (moving && snapshot !== '') throw invalid('Snapshots are read-only and can\'t have their configuration changed');
  const volume = await from.get<VolumeView>(url(['storage-pools', source.pool, 'volumes', 'custom', name, ...(snapshot === '' ? [] : ['snapshots', snapshot])], { target }));
  const project = flags.text('target-project');
  const done = moving ? 'Storage volume moved successfully!' : 'Storage volume copied successfully!';
  const what = moving ? 'Moving the storage volume' : 'Copying the storage volume';
  const samePlace = source.remote === destination.remote;
  const body = { config: volume.config, description: volume.description, name: wanted.name, type: 'custom', content_type: volume.content_type || 'filesystem' };
  const common = { volume_only: flags.bool('volume-only'), refresh: flags.bool('refresh') };
  if (samePlace && moving && (target === destinationTarget || destinationTarget === '')) {
    await invocation.run(from, 'POST', url(['storage-pools', source.pool, 'volumes', 'custom', name], { target }), { name: wanted.name, pool: destination.pool, project }, what);
  } else if (samePlace) {
    const copySource = { ...common, type: 'copy', name: snapshot === '' ? name : `${name}/${snapshot}`, pool: source.pool, location: target, project: from.project || undefined };
    await invocation.run(to, 'POST', url(['storage-pools', destination.pool, 'volumes', 'custom'], { target: destinationTarget, project }), { ...body, source: copySource }, what);
    if (moving) await invocation.run(from, 'DELETE', url(['storage-pools', source.pool, 'volumes', 'custom', name], { target }));
  } else {
    await migrate(invocation, {
      from, to, fromRemote: source.remote, toRemote: destination.remote, sourcePath: url(['storage-pools', source.pool, 'volumes', 'custom', name, ...(snapshot === '' ? [] : ['snapshots', snapshot])], { target }),
      sourceBody: { name, migration: true, volume_only: flags.bool('volume-only') }, targetPath: url(['storage-pools', destination.pool, 'volumes', 'custom'], { target: destinationTarget, project }),
      targetBody: body, targetSource: { ...common, name, pool: source.pool }, mode: flags.text('mode'), what, failure: 'Failed storage volume creation',
    });
    if (moving) await invocation.run(from, 'DELETE', url(['storage-pools', source.pool, 'volumes', 'custom', name], { target }));
  }
  if (!flags.bool('quiet')) invocation.print(done);
}

export const exportVolume: Run = async (invocation) => {
  const { flags } = invocation;
  const { server, pool } = await poolOf(invocation);
  const volume = parseVolume(invocation.arg(1));
  const body = { name: '', expires_at: new Date(new Date().getTime() + 24 * 3600 * 1000).toISOString(), volume_only: flags.bool('volume-only'), optimized_storage: flags.bool('optimized-storage'), compression_algorithm: flags.text('compression') };
  const asked = await server.api.call('POST', volumeUrl(invocation, pool, volume, ['backups']), { body }).catch((error: unknown) => { throw wrap(error, 'Failed to create storage volume backup'); });
  const operation = await invocation.wait(server, asked, 'Backing up storage volume');
  const backup = nameOf((operation.resources?.['backups'] ?? [''])[0]!);
  const file = invocation.arg(2) === '' ? 'backup.tar.gz' : invocation.arg(2);
  try {
    const answer = await server.download(volumeUrl(invocation, pool, volume, ['backups', backup, 'export']));
    await receiveFile(invocation, 'Exporting the backup', Number(answer.headers['content-length'] ?? 0), answer, file);
  } finally {
    await invocation.run(server, 'DELETE', volumeUrl(invocation, pool, volume, ['backups', backup])).catch(() => undefined);
  }
  if (!flags.bool('quiet')) invocation.print('Backup exported successfully!');
};

export const importVolume: Run = async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const [, file = '', name = ''] = invocation.args;
  if (!existsSync(file)) throw invalid(`open ${file}: no such file or directory`);
  const { body: content, length } = contentOf(file);
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream', ...lengthHeader(length), ...(name === '' ? {} : { 'x-lxd-name': name }) };
  const path = url(['storage-pools', pool, 'volumes', 'custom'], { target: invocation.flags.text('target') });
  const answer = await sendCounted(invocation, 'Importing custom volume', length, content, (body) => server.api.call('POST', path, { body, headers }));
  await invocation.wait(server, answer, 'Importing custom volume');
};
