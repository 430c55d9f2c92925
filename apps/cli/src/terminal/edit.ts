import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { internal, invalid, messageOf } from '#kernel';
import type { Invocation } from '../invocation.js';
import { toYaml } from '../output/yaml.js';
import { findProgram, runInForeground } from './processes.js';

export interface EditOptions {
  /** Goes above the text, as comments. */
  readonly explanation: string;
  readonly load: () => Promise<unknown>;
  readonly save: (value: unknown) => Promise<void>;
}

/** Reads YAML. Throws `invalid`, worded as the client of LXD words it. */
export async function parseYaml(text: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    return parse(text, { schema: 'core' }) as unknown;
  } catch (error) {
    throw invalid(`yaml: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }
}

/**
 * Lets somebody change something as YAML: what comes from standard input is taken as it is; at a terminal an editor opens, and again after a mistake,
 * with what was written.
 */
export async function editYaml(invocation: Invocation, options: EditOptions): Promise<void> {
  const { terminal } = invocation;
  if (!terminal.inputIsTerminal) return options.save(await parseYaml((await terminal.readAll()).toString('utf8')));
  const comments = options.explanation.trim().split('\n').map((line) => `### ${line}`.trimEnd()).join('\n');
  let content: Buffer = Buffer.from(`${comments}\n\n${toYaml(await options.load())}`);
  for (;;) {
    content = await editText(content);
    try {
      return await options.save(await parseYaml(content.toString('utf8')));
    } catch (error) {
      invocation.note(`Config parsing error: ${messageOf(error)}`);
      await terminal.ask('Press enter to open the editor again or ctrl+c to abort change\n');
      terminal.release();
    }
  }
}

/** Opens the user's editor on a text and returns what is left in the file. */
export async function editText(content: Buffer, suffix = '.yaml'): Promise<Buffer> {
  const editor = process.env['VISUAL'] || process.env['EDITOR'] || ['editor', 'vi', 'emacs', 'nano'].find((name) => findProgram(name) !== undefined);
  if (editor === undefined) throw invalid('No text editor found, please set the EDITOR environment variable');
  const directory = mkdtempSync(`${tmpdir()}/roost-edit-`);
  const file = `${directory}/content${suffix}`;
  try {
    writeFileSync(file, content, { mode: 0o600 });
    const code = await runInForeground('sh', ['-c', `${editor} "$1"`, 'sh', file]);
    if (code !== 0) throw internal(`The editor "${editor}" ended with exit code ${code}`);
    return readFileSync(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
