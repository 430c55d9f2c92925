import { expect, it } from 'vitest';
import { CommandRunner, type CommandResult, type RunOptions } from '../command.js';
import { Squashfs } from '../squashfs/squashfs.js';
import { Tar } from './tar.js';

class Recorder extends CommandRunner {
  readonly asked: string[][] = [];

  override async run({ argv }: RunOptions): Promise<CommandResult> {
    this.asked.push([...argv]);
    return { exitCode: 0, stdout: '', stderr: '' };
  }
}

it('unpacks behind everybody else who uses the disk', async () => {
  const recorder = new Recorder();
  await new Tar(recorder).unpack({ file: 'a', compression: 'tar.xz', into: 'b' });
  await new Squashfs(recorder).unpack({ file: 'a', into: 'b' });

  expect(recorder.asked.map((argv) => argv.slice(0, 6))).toEqual([
    ['ionice', '-c', '2', '-n', '7', 'tar'],
    ['ionice', '-c', '2', '-n', '7', 'unsquashfs'],
  ]);
});
