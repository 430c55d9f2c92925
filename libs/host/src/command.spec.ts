import { closeSync, openSync, readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CommandFailedError, CommandNotFoundError, CommandTimeoutError } from './command.errors.js';
import { CommandRunner } from './command.js';

const runner = new CommandRunner();

describe('run', () => {
  it('gives output and exit code of a program', async () => {
    expect(await runner.run({ argv: ['cat'], stdin: 'hello' })).toEqual({ exitCode: 0, stdout: 'hello', stderr: '' });
    expect((await runner.run({ argv: ['false'], okExitCodes: [0, 1] })).exitCode).toBe(1);
  });

  it('passes a clean environment', async () => {
    const { stdout } = await runner.run({ argv: ['env'], env: { A: 'b' } });

    expect(stdout.trim().split('\n').map((line) => line.split('=')[0]).sort()).toEqual(['A', 'HOME', 'LC_ALL', 'PATH']);
  });

  it('tells what failed, with secrets masked', async () => {
    const failed = await runner.run({ argv: ['ls', '/secret/none'], secrets: ['secret'] }).catch((error: unknown) => error);

    expect(failed).toBeInstanceOf(CommandFailedError);
    expect(failed).toMatchObject({ exitCode: 2, stderrTail: expect.stringContaining('/***/none') });
    expect(String(failed)).not.toContain('secret');
  });

  it('tells a program that is not installed', async () => {
    await expect(runner.run({ argv: ['no-such-program'] })).rejects.toBeInstanceOf(CommandNotFoundError);
  });

  it('kills the whole group when time is over', async () => {
    const begun = performance.now();

    await expect(runner.run({ argv: ['sh', '-c', 'sleep 30 & sleep 30'], timeoutMs: 50 })).rejects.toBeInstanceOf(CommandTimeoutError);

    expect(performance.now() - begun).toBeLessThan(5000);
  });

  it('ends when its caller gives up', async () => {
    const controller = new AbortController();
    const running = runner.run({ argv: ['sleep', '30'], signal: controller.signal });
    controller.abort();

    await expect(running).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('refuses endless output', async () => {
    await expect(runner.run({ argv: ['yes'], maxOutputBytes: 10_000 })).rejects.toMatchObject({ kind: 'internal' });
  });
});

describe('spawn', () => {
  it('hands descriptors to a child and tells its end', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'roost-command-'));
    const fd = openSync(join(directory, 'out'), 'w');
    const child = await runner.spawn({ argv: ['sh', '-c', 'echo out; echo err >&2; exit 7'], descriptors: ['ignore', fd], captureStderr: true });
    closeSync(fd);

    expect(await child.exited).toEqual({ exitCode: 7, signal: null, stderrTail: 'err' });
    expect(readFileSync(join(directory, 'out'), 'utf8')).toBe('out\n');
    expect(child.killGroup('SIGTERM')).toBe(false);
    rmSync(directory, { recursive: true });
  });
});
