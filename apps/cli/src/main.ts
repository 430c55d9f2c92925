import { startupSnapshot } from 'node:v8';
import { tree } from './commands/tree.js';
import { rehearse } from './rehearsal.js';
import { runCommandLine } from './run.js';
import { Terminal } from './terminal/terminal.js';

/** Carries out the command line of this process and ends it. */
async function main(): Promise<void> {
  // Under the name of LXD's client it behaves as that one in all that differs on purpose.
  const program = process.env['ROOST_CALLED_AS'] === 'lxc' ? 'lxc' : 'roost';
  const terminal = new Terminal();
  const code = await runCommandLine(tree, [program, ...process.argv.slice(2)], terminal);
  await terminal.flushed();
  // Whoever waits for a connection that idles is not waited for.
  process.exit(code);
}

// The build keeps what is loaded by now as an image of the heap, from which each call starts (docs/adr/0015); without it all is as well, later.
if (startupSnapshot.isBuildingSnapshot()) {
  startupSnapshot.setDeserializeMainFunction(() => void main());
  void rehearse();
} else void main();
