import { describe, expect, it } from 'vitest';
import { Progress } from './progress.js';
import { Terminal, type Streams } from './terminal.js';

function terminal(isTTY: boolean): { terminal: Terminal; written: string[] } {
  const written: string[] = [];
  const stream = { isTTY, columns: 30, on: () => undefined, write: (text: string) => written.push(text) };
  return { terminal: new Terminal({ stdin: stream, stdout: stream, stderr: stream } as unknown as Streams), written };
}

describe('Progress', () => {
  it('shows how much, how fast and how long yet, over what it showed before, and takes it away at the end', () => {
    const { terminal: on, written } = terminal(true);
    const progress = new Progress(on, 'Upload');
    progress.bytes(50_000_000, 200_000_000, performance.now() - 10_000);
    progress.show('done');
    progress.end();
    expect(written[0]).toMatch(/^\rUpload: 25% \(5\.00MB\/s, 30s le$/);
    expect(written[1]).toBe(`\rUpload: done${' '.repeat(29 - 'Upload: done'.length)}`);
    expect(written[2]).toBe(`\r${' '.repeat('Upload: done'.length)}\r`);
  });

  it('says how much and how fast where nobody knows the whole', () => {
    const { terminal: on, written } = terminal(true);
    new Progress(on, '').bytes(3_000_000, undefined, performance.now() - 1_000);
    expect(written[0]).toMatch(/^\r3\.00MB \((3\.00|2\.99)MB\/s\)$/);
  });

  it('writes nothing that lasts less than some seconds where that is no terminal, and nothing at all when told to be quiet', () => {
    const off = terminal(false);
    new Progress(off.terminal, 'Upload').show('1%');
    const quiet = terminal(true);
    new Progress(quiet.terminal, 'Upload', true).show('1%');
    expect([off.written, quiet.written]).toEqual([[], []]);
  });
});
