import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { StateDirectory } from '#kernel';

/**
 * `roostd activateifneeded`: reads the databases with no daemon running; where there is something to do (a network address to listen on, instances
 * to start), connects to the socket, which makes systemd start the daemon. Prints what decided.
 */
export async function activateIfNeeded(root: string, startDaemon: () => Promise<void>, report: (line: string) => void): Promise<void> {
  const reason = activationReason(new StateDirectory(root));
  report(reason.text);
  if (reason.needed) await startDaemon();
}

interface Reason {
  readonly needed: boolean;
  readonly text: string;
}

export function activationReason(state: StateDirectory): Reason {
  const local = `${state.database}/local.db`;
  const global = `${state.database}/global/db.bin`;
  if (!existsSync(local) || !existsSync(global)) return { needed: false, text: 'No DB, so no need to start the daemon now' };
  const address = query(local, "SELECT value FROM entries WHERE bucket = 'config' AND key = 'core.https_address'");
  if (address.length > 0 && address[0]!['value'] !== '') return { needed: true, text: 'Daemon has core.https_address set, activating...' };
  const ran = new Set(query(local, `SELECT key FROM entries WHERE bucket = 'instance-volatile'
    AND json_extract(value, '$.volatile."volatile.last_state.power"') = 'RUNNING'`).map((row) => Number(row['key'])));
  const instances = query(global, 'SELECT id, name, config, profiles FROM instances');
  const profiles = new Map(query(global, 'SELECT id, config FROM profiles').map((row) => [row['id'] as number, JSON.parse(row['config'] as string) as Record<string, string>]));
  for (const row of instances) {
    const config = { ...expanded(JSON.parse(row['profiles'] as string) as number[], profiles), ...(JSON.parse(row['config'] as string) as Record<string, string>) };
    if (config['boot.autostart'] === 'true') return { needed: true, text: 'Daemon has auto-started instances, activating...' };
    if (config['boot.autostart'] !== 'false' && ran.has(row['id'] as number)) {
      return { needed: true, text: 'Daemon has instances that were running before, activating...' };
    }
    if ((config['snapshots.schedule'] ?? '') !== '') return { needed: true, text: 'Daemon has scheduled instance snapshots, activating...' };
  }
  return { needed: false, text: 'No need to start the daemon now' };
}

function expanded(ids: readonly number[], profiles: ReadonlyMap<number, Record<string, string>>): Record<string, string> {
  return Object.assign({}, ...ids.map((id) => profiles.get(id) ?? {})) as Record<string, string>;
}

function query(file: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
}
