import { PassThrough } from 'node:stream';
import { tree } from '../commands/tree.js';
import { runCommandLine } from '../run.js';
import { Terminal, type Streams } from '../terminal/terminal.js';

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One command line, its program first, in this process: nothing is a terminal, and its input is empty. */
export async function runInProcess(...argv: readonly string[]): Promise<Said> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end();
  const said = { out: '', err: '' };
  stdout.on('data', (data: Buffer) => { said.out += data.toString('utf8'); });
  stderr.on('data', (data: Buffer) => { said.err += data.toString('utf8'); });
  const code = await runCommandLine(tree, argv, new Terminal({ stdin, stdout, stderr } as unknown as Streams));
  await new Promise((resolve) => setImmediate(resolve));
  return { code, ...said };
}
