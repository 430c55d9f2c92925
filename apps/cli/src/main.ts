import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';

// What Node compiled it keeps for the next call: half of a call's time goes into that. Without a place to keep it all is as before.
enableCompileCache(`${process.env['XDG_CACHE_HOME'] || `${homedir()}/.cache`}/roost`);
const [{ runCommandLine }, { tree }] = await Promise.all([import('./run.js'), import('./commands/tree.js')]);

// Under the name of LXD's client it behaves as that one in all that differs on purpose.
const program = process.env['ROOST_CALLED_AS'] === 'lxc' ? 'lxc' : 'roost';
const code = await runCommandLine(tree, [program, ...process.argv.slice(2)]);
process.exitCode = code;
// Standard output into a pipe is written later; whoever waits for a connection that idles is not waited for.
if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit(code);
else {
  const done = (): void => { if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit(code); };
  process.stdout.on('drain', done);
  process.stderr.on('drain', done);
}
