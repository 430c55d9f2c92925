import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import { BackupFiles } from './backup-files.js';

describe('files of backups', () => {
  let state: StateDirectory;
  let files: BackupFiles;
  let upload: PassThrough;
  beforeEach(() => {
    state = new StateDirectory(mkdtempSync(join(tmpdir(), 'roost-backups-')));
    mkdirSync(`${state.backups}/instances`, { recursive: true });
    files = new BackupFiles(state, new SilentLogger());
    upload = new PassThrough();
  });
  afterEach(() => {
    upload.destroy();
    rmSync(state.root, { recursive: true, force: true });
  });
  const imports = (): string[] => readdirSync(state.backups).filter((name) => name.startsWith('import-'));

  /** An upload whose first bytes are there. */
  async function begun(): Promise<{ readonly path: Promise<string> }> {
    const path = files.receive(upload);
    path.catch(() => undefined);
    upload.write('first');
    while (imports().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    return { path };
  }

  it('of a former process that was importing go, those of this one stay until they are forgotten', async () => {
    writeFileSync(`${state.backups}/import-old`, '');
    const { path } = await begun();

    await files.removeImports();
    expect(imports()).toHaveLength(1);
    upload.end('last');
    await files.removeImports();
    expect(imports()).toEqual([(await path).split('/').at(-1)]);

    await files.forget(await path);
    expect(imports()).toEqual([]);
  });

  it('are moved when uploads are through', async () => {
    const { path } = await begun();
    const seen: string[] = [];

    const moved = files.moving(async () => { seen.push(`moved ${imports().length}`); });
    void path.then(() => seen.push('received'));
    upload.end('last');
    await moved;

    expect(seen).toEqual(['received', 'moved 1']);
  });

  it('are moved without an upload that has stalled', async () => {
    const { path } = await begun();
    const refused = expect(path).rejects.toMatchObject({ kind: 'unavailable', message: 'The upload has stalled, and backups are to be kept in another place' });

    await files.moving(async () => expect(imports()).toEqual([]), 20);

    await refused;
  });

  it('are removed before they are moved, or afterwards where they are then', async () => {
    writeFileSync(`${state.backups}/instances/1`, '');
    writeFileSync(`${state.backups}/import-x`, '');
    const removals: Promise<unknown>[] = [];

    await files.moving(async () => {
      removals.push(files.instances.remove(1), files.forget(`${state.backups}/import-x`), files.removeImports(), files.instances.removeOrphans(() => []));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect([existsSync(`${state.backups}/instances/1`), imports()]).toEqual([true, ['import-x']]);
    });

    await Promise.all(removals);
    expect([existsSync(`${state.backups}/instances/1`), imports()]).toEqual([false, []]);
  });
});
