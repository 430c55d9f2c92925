import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDirectory } from '#kernel';
import { activationReason } from './activate.command.js';

let state: StateDirectory;

/** The two databases as the daemon leaves them, with only the tables read here. */
function databases(local: string, global: string): void {
  mkdirSync(`${state.database}/global`, { recursive: true });
  const run = (file: string, sql: string): void => {
    const database = new DatabaseSync(file);
    database.exec(sql);
    database.close();
  };
  run(`${state.database}/local.db`, `CREATE TABLE entries (bucket TEXT, key TEXT, value TEXT); ${local}`);
  run(`${state.database}/global/db.bin`, `CREATE TABLE instances (id, name, config, profiles); CREATE TABLE profiles (id, config); ${global}`);
}

beforeEach(() => { state = new StateDirectory(mkdtempSync(join(tmpdir(), 'roost-activate-'))); });
afterEach(() => rmSync(state.root, { recursive: true, force: true }));

describe('activationReason', () => {
  it('needs no daemon where there was never one', () => {
    expect(activationReason(state)).toMatchObject({ needed: false });
  });

  it('needs none with nothing to do', () => {
    databases('', `INSERT INTO instances VALUES (1, 'c1', '{}', '[]')`);
    expect(activationReason(state)).toMatchObject({ needed: false });
  });

  it('needs one that listens on the network', () => {
    databases(`INSERT INTO entries VALUES ('config', 'core.https_address', ':8443')`, '');
    expect(activationReason(state)).toMatchObject({ needed: true });
  });

  it('needs one for an instance that ran when the daemon ended', () => {
    databases(`INSERT INTO entries VALUES ('instance-volatile', '1', '{"volatile":{"volatile.last_state.power":"RUNNING"},"lastUsedAt":""}')`,
      `INSERT INTO instances VALUES (1, 'c1', '{}', '[]')`);
    expect(activationReason(state)).toMatchObject({ needed: true });
  });

  it('needs one for an instance that a profile starts with the host', () => {
    databases('', `INSERT INTO profiles VALUES (5, '{"boot.autostart":"true"}'); INSERT INTO instances VALUES (1, 'c1', '{}', '[5]')`);
    expect(activationReason(state)).toMatchObject({ needed: true });
  });
});
