import type { StoragePool } from '#api-types';
import type { Api } from './init/api.js';
import { availableBackends } from './init/auto.js';
import type { Questions } from './init/questions.js';

interface PoolToScan {
  readonly name: string;
  readonly driver: string;
  readonly description: string;
  readonly config: Record<string, string> | null;
}

interface UnknownVolume {
  readonly name: string;
  readonly type: string;
  readonly snapshotCount: number;
  readonly project: string;
  readonly pool: string;
}

interface Findings {
  readonly UnknownVolumes: UnknownVolume[] | null;
  readonly DependencyErrors: string[] | null;
}

type Write = (text: string) => void;

const titles: Readonly<Record<string, string>> = { container: 'Container', 'virtual-machine': 'Virtual-Machine', volume: 'Volume' };

/** `lxd recover`, question by question: looks for volumes that the database does not know, and makes their instances known again. */
export async function recover(api: Api, ask: Questions, write: Write): Promise<void> {
  const known = await api.get<StoragePool[]>('/1.0/storage-pools?recursion=1');
  write('This LXD server currently has the following storage pools:\n');
  for (const pool of known) write(` - ${pool.name} (backend="${pool.driver}", source="${pool.config['source'] ?? ''}")\n`);
  const pools: PoolToScan[] = known.map(({ name }) => ({ name, driver: '', description: '', config: null }));
  const added = await askPools(api, ask);
  write('The recovery process will be scanning the following storage pools:\n');
  for (const pool of known) write(` - EXISTING: "${pool.name}" (backend="${pool.driver}", source="${pool.config['source'] ?? ''}")\n`);
  for (const pool of added) write(` - NEW: "${pool.name}" (backend="${pool.driver}", source="${pool.config?.['source'] ?? ''}")\n`);
  if (!(await ask.yes('Would you like to continue with scanning for lost volumes?', true))) return;
  const request = { pools: [...pools, ...added] };
  write('Scanning for unknown volumes...\n');
  for (;;) {
    const { UnknownVolumes: volumes, DependencyErrors: missing } = await api.post<Findings>('/internal/recover/validate', request);
    if (volumes === null || volumes.length === 0) return write('No unknown volumes found. Nothing to do.\n');
    write('The following unknown volumes have been found:\n');
    for (const { name, type, pool, project, snapshotCount } of volumes) {
      write(` - ${titles[type] ?? type} "${name}" on pool "${pool}" in project "${project}" (includes ${snapshotCount} snapshots)\n`);
    }
    if (missing === null || missing.length === 0) break;
    write('You are currently missing the following:\n');
    for (const one of missing) write(` - ${one}\n`);
    await ask.optional('Please create those missing entries and then hit ENTER');
  }
  if (!(await ask.yes('Would you like those to be recovered?', false))) return;
  write('Starting recovery...\n');
  await api.post('/internal/recover/import', request);
}

async function askPools(api: Api, ask: Questions): Promise<PoolToScan[]> {
  const added: PoolToScan[] = [];
  while (await ask.yes('Would you like to recover another storage pool?', false)) {
    const backends = (await availableBackends(api)).toSorted();
    const name = await ask.text('Name of the storage pool', '');
    const driver = await ask.text(`Name of the storage backend (${backends.join(', ')})`, '', (answer) =>
      backends.includes(answer) ? null : `Invalid input: Invalid value "${answer}" (not one of [${backends.join(' ')}])`);
    const config: Record<string, string> = { source: await ask.text('Source of the storage pool (block device, volume group, dataset, path, ... as applicable)', '') };
    for (;;) {
      const property = await ask.optional('Additional storage pool configuration property (KEY=VALUE, empty when done)');
      if (property === '') break;
      const [key = '', ...value] = property.split('=');
      config[key] = value.join('=');
    }
    added.push({ name, driver, description: '', config });
  }
  return added;
}
