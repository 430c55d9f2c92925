import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandRunner, type RunOptions } from '../command.js';
import { nativeFile } from '../roost-helper/roost-helper.js';
import { RemoveTree } from './remove-tree.js';

/** Counts the programs it starts. */
class CountingRunner extends CommandRunner {
  started = 0;

  override run(options: RunOptions): ReturnType<CommandRunner['run']> {
    this.started++;
    return super.run(options);
  }
}

describe('RemoveTree', () => {
  let directory: string;
  let commands: CountingRunner;
  let trees: RemoveTree;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'roost-remove-spec-'));
    mkdirSync(`${directory}/tree`);
    commands = new CountingRunner();
    trees = new RemoveTree(commands);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('follows no link', async () => {
    mkdirSync(`${directory}/tree/a/b`, { recursive: true });
    mkdirSync(`${directory}/other`);
    for (const path of ['other/kept', 'tree/file', 'tree/a/file', 'tree/a/b/file']) writeFileSync(`${directory}/${path}`, 'x');
    for (const path of ['tree/link', 'tree/a/link']) symlinkSync(`${directory}/other`, `${directory}/${path}`);

    await trees.remove(`${directory}/tree`);

    expect(readdirSync(directory)).toEqual(['other']);
    expect(readdirSync(`${directory}/other`)).toEqual(['kept']);
  });

  it('has nothing to do where nothing is, and removes a link, not what it shows', async () => {
    await trees.remove(`${directory}/none`);
    symlinkSync(`${directory}/tree`, `${directory}/link`);
    await trees.remove(`${directory}/link`);

    expect(readdirSync(directory)).toEqual(['tree']);
  });

  it.skipIf(!existsSync(nativeFile('libroost.so')))('starts no program for a small tree', async () => {
    for (let i = 0; i < 100; i++) mkdirSync(`${directory}/tree/${i}/x`, { recursive: true });

    await trees.remove(`${directory}/tree`);

    expect(existsSync(`${directory}/tree`)).toBe(false);
    expect(commands.started).toBe(0);
  });

  it('leaves large and deep trees to rm', async () => {
    mkdirSync(`${directory}/deep/${'x/'.repeat(300)}`, { recursive: true });
    for (let i = 0; i < 5100; i++) writeFileSync(`${directory}/tree/${i}`, '');

    await trees.remove(`${directory}/deep`);
    await trees.remove(`${directory}/tree`);

    expect(readdirSync(directory)).toEqual([]);
    expect(commands.started).toBe(2);
  });
});
