import { describe, expect, it } from 'vitest';
import { CommandRunner } from '../command.js';
import { isAlive, parseProcessStat, readProcessStat, signalProcess } from './process-stamp.js';

describe('parseProcessStat', () => {
  it('is not misled by the name of a process', () => {
    const text = '4711 (a) S 1 (b) R 17 4711 4711 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 12 34\n';

    expect(parseProcessStat(text)).toEqual({ pid: 4711, state: 'R', parent: 17, startTicks: 987654 });
  });
});

describe('signalProcess', () => {
  it('signals the process it was told of', async () => {
    const child = await new CommandRunner().spawn({ argv: ['sleep', '60'] });
    const identity = readProcessStat(child.pid)!;

    expect(isAlive(identity)).toBe(true);
    expect(signalProcess(identity, 9)).toBe(true);
    expect((await child.exited).signal).toBe('SIGKILL');
    expect(isAlive(identity)).toBe(false);
  });

  it('does not signal a process that only has the same number', async () => {
    const child = await new CommandRunner().spawn({ argv: ['sleep', '60'] });
    const identity = readProcessStat(child.pid)!;

    expect(signalProcess({ pid: identity.pid, startTicks: identity.startTicks - 1 }, 9)).toBe(false);
    expect(isAlive(identity)).toBe(true);

    child.killGroup('SIGKILL');
    await child.exited;
  });
});
