import { Command, CommanderError, Option } from 'commander';
import type { ApiClient } from '#client';
import { messageOf, type Logger } from '#kernel';
import type { WitnessFiles } from '#platform/raft';
import { integer, parseInitFlags, type InitOptions } from './commands/init/init-options.js';
import type { DaemonOptions } from './daemon.js';
import { stateRoot } from './environment.js';

/**
 * `roostd` and its commands, named and behaving as `lxd` and its. Everything heavy is imported when a command needs it: `waitready` runs many
 * times a minute in scripts, and the daemon starts its agent before it loads itself.
 */
const program = new Command('roostd')
  .description('The container manager (daemon)')
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: unknown option '(.*)'/, 'Error: unknown flag: $1').replace(/^error: /, 'Error: ')) })
  .option('-d, --debug', 'Show all debug messages')
  .option('-v, --verbose', 'Show all information messages')
  .option('--logfile <path>', 'Path to the log file')
  .option('--group <name>', 'The group of users that will be allowed to talk to the daemon')
  .option('--trace <targets>', 'Log tracing targets')
  .option('--syslog', 'Log to syslog')
  .version('5.0.2', '--version', 'Print version number')
  .argument('[nothing...]')
  .action(async (rest: string[], options: { debug?: boolean; verbose?: boolean; logfile?: string; group?: string }) => {
    // Scripts pass "$DEBUG" quoted, which is often empty (compat: an empty argument is ignored).
    const unknown = rest.find((word) => word !== '');
    if (unknown !== undefined) throw new CommanderError(1, 'unknown', `unknown command "${unknown}" for "roostd"`);
    const { Daemon } = await import('./daemon.js');
    await Daemon.runUntilStopped(daemonOptions(options));
    // Everything is closed; idle timers of libraries would keep the process for another second.
    process.exit(0);
  });

function daemonOptions(options: { debug?: boolean; verbose?: boolean; logfile?: string; group?: string }): DaemonOptions {
  return {
    root: stateRoot(), group: options.group ?? '', logFile: options.logfile ?? '', level: options.debug ? 'debug' : options.verbose ? 'info' : 'warn',
  };
}

program.command('waitready').description('Wait for the daemon to be ready to process requests')
  .option('-t, --timeout <seconds>', 'Number of seconds to wait before giving up', '0')
  .action(async (options: { timeout: string }) => {
    const { waitReady } = await import('./commands/waitready.command.js');
    await withApi((api) => waitReady(api, integer(options.timeout, '-t, --timeout')));
  });

program.command('shutdown').description('Tell the daemon to shut down all instances and exit')
  .option('-f, --force', 'Force shutdown instead of waiting for running operations to finish')
  .option('-t, --timeout <seconds>', 'Number of seconds to wait before giving up', '0')
  .action(async (options: { force?: boolean; timeout: string }) => {
    const { shutdown } = await import('./commands/shutdown.command.js');
    await withApi((api) => shutdown(api, options.force === true, integer(options.timeout, '-t, --timeout')));
  });

program.command('init').description('Configure the daemon')
  .option('--auto', 'Automatic (non-interactive) mode')
  .option('--minimal', 'Minimal configuration (non-interactive)')
  .option('--preseed', 'Pre-seed mode, expects YAML config from stdin')
  .option('--dump', 'Dump YAML config to stdout')
  .option('--network-address <address>', 'Address to bind to (default: none)')
  .option('--network-port <port>', 'Port to bind to (default: 8443)')
  .option('--storage-backend <name>', 'Storage backend to use')
  .option('--storage-create-device <device>', 'Setup device based storage using DEVICE')
  .option('--storage-create-loop <size>', 'Setup loop based storage with SIZE in GB')
  .option('--storage-pool <name>', 'Storage pool to use or create')
  .option('--trust-password <password>', 'Password required to add new clients')
  .action(async (options: InitOptions) => {
    const { init } = await import('./commands/init/init.command.js');
    await withApi((api) => init(api, parseInitFlags(options)));
  });

program.command('activateifneeded').description('Check if the daemon should be started')
  .action(async () => {
    const { activateIfNeeded } = await import('./commands/activate.command.js');
    const { startRequest } = await import('./commands/local-api.js');
    await activateIfNeeded(stateRoot(), startRequest, (line) => console.log(line));
  });

program.command('sql').description('Execute a SQL query against the local or global database')
  .argument('<database>', 'local or global').argument('<query>', 'a query, "-" for standard input, ".dump" or ".schema"')
  .action(async (database: string, query: string) => {
    const { runSql } = await import('./commands/sql.command.js');
    const text = query === '-' ? await readAll(process.stdin) : query;
    await withApi((api) => runSql(api, database, text, (out) => process.stdout.write(out)));
  });

program.command('recover').description('Recover missing instances and volumes from existing and unknown storage pools').action(async () => {
  const { recover } = await import('./commands/recover.command.js');
  const { Questions } = await import('./commands/init/questions.js');
  const ask = new Questions();
  await withApi((api) => recover(api, ask, (text) => process.stdout.write(text))).finally(() => ask.close());
});

const cluster = program.command('cluster').description('Low level administration tools for inspecting and recovering LXD clusters.');

cluster.command('list-database').alias('ls').description('Print the addresses of the cluster members serving the database').action(async () => {
  const { listDatabase } = await import('./commands/cluster/list.command.js');
  listDatabase(stateRoot(), (text) => process.stdout.write(text));
});

cluster.command('show').description('Show cluster configuration as YAML').action(async () => {
  const { showCluster } = await import('./commands/cluster/list.command.js');
  showCluster(stateRoot(), (text) => process.stdout.write(text));
});

cluster.command('edit').description('Edit cluster configuration as YAML').action(async () => {
  const { editCluster } = await import('./commands/cluster/edit.command.js');
  await editCluster(stateRoot(), await readAll(process.stdin), (text) => process.stdout.write(text));
});

cluster.command('recover-from-quorum-loss').description('Recover a LXD instance whose cluster has lost quorum')
  .option('-q, --quiet', "Don't require user confirmation")
  .action(async (options: { quiet?: boolean }) => {
    const { recoverFromQuorumLoss } = await import('./commands/cluster/recover.command.js');
    await recoverFromQuorumLoss(stateRoot(), { quiet: options.quiet === true }, (text) => process.stdout.write(text));
  });

cluster.command('compare-databases').description('Compare what the members hold of the global database, and replace a copy that differs from what most hold').action(async () => {
  const { compareDatabases } = await import('./commands/cluster/compare.command.js');
  await withApi((api) => compareDatabases(api, (text) => process.stdout.write(text)));
});

cluster.command('rejoin').description('Bring a member that a recovery left behind back into the cluster, with what is on it')
  .argument('<token>', 'as "lxc cluster add NAME" on the recovered cluster shows it')
  .action(async (token: string) => {
    const { rejoinCluster } = await import('./commands/cluster/rejoin.command.js');
    await withApi((api) => rejoinCluster(api, token, (text) => process.stdout.write(text)));
  });

cluster.command('remove-raft-node').description('Remove a raft node from the raft configuration')
  .argument('[address]').option('-q, --quiet', "Don't require user confirmation")
  .action(async (address: string | undefined, options: { quiet?: boolean }) => {
    if (address === undefined) throw new CommanderError(1, 'unknown', 'Missing required arguments');
    const { removeRaftNode } = await import('./commands/cluster/remove-raft-node.command.js');
    await withApi((api) => removeRaftNode(api, address, options.quiet === true));
  });

const witnesses = cluster.command('witness').description('Machines that vote in the log of the cluster and hold nothing else of it');

witnesses.command('add').description('Make a token with which another machine becomes a witness').argument('<name>').action(async (name: string) => {
  const { addWitness } = await import('./commands/cluster/witness.command.js');
  await withApi((api) => addWitness(api, name, (text) => process.stdout.write(text)));
});

witnesses.command('list').alias('ls').description('List the witnesses').action(async () => {
  const { listWitnesses } = await import('./commands/cluster/witness.command.js');
  await withApi((api) => listWitnesses(api, (text) => process.stdout.write(text)));
});

witnesses.command('remove').alias('rm').description('Let a machine be a witness no more').argument('<name>').action(async (name: string) => {
  const { removeWitness } = await import('./commands/cluster/witness.command.js');
  await withApi((api) => removeWitness(api, name));
});

const witness = program.command('witness').description('Be a witness of a cluster: a machine that votes in its log and is no member');

witness.command('join').description('Become a witness').argument('<token>', 'as "roostd cluster witness add NAME" on a member shows it')
  .option('--address <host[:port]>', 'Where the members reach this machine; the two ports above are used (default: its address towards the member, port 8443)', '')
  .option('--force', 'Forget what this machine was a witness of before')
  .action(async (token: string, { address, force }: { address: string; force?: boolean }) => {
    const { joinAsWitness } = await import('./commands/witness/join.command.js');
    await asWitness('warn', (files, logger) => joinAsWitness({ files, logger, token, address, force: force === true }, (text) => process.stdout.write(text)));
  });

witness.command('run').description('Vote, until the cluster removes this witness or a signal ends it').action(async () => {
  const { runWitness } = await import('./commands/witness/run.command.js');
  await asWitness('info', runWitness);
  process.exit(0);
});

program.command('purge').description('Delete every instance, image, profile, network, pool and project')
  .addOption(new Option('--yes', 'Do not refuse').makeOptionMandatory())
  .action(async () => {
    const { purge } = await import('./commands/purge.command.js');
    await withApi((api) => purge(api, (line) => console.log(line)));
  });

program.command('version').description('Show the server version').action(() => console.log('5.0.2'));

/** Runs a command that talks to the daemon, and lets go of the connection afterwards, so that the process can end. */
async function withApi(command: (api: ApiClient) => Promise<void>): Promise<void> {
  const { openLocalApi } = await import('./commands/local-api.js');
  const api = openLocalApi();
  await command(api).finally(() => api.close());
}

/** Runs a command on this machine's witness, alone. */
async function asWitness(level: string, command: (files: WitnessFiles, logger: Logger) => Promise<void>): Promise<void> {
  const [{ StateDirectory }, { WitnessFiles }, { PinoLogger }, { StateLock }] = await Promise.all([import('#kernel'), import('#platform/raft'), import('./pino.logger.js'), import('./state-lock.js')]);
  const state = new StateDirectory(stateRoot());
  const lock = StateLock.acquire(state);
  await command(new WitnessFiles(state.witness), new PinoLogger(level, '')).finally(() => lock.release());
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    if (error.code === 'unknown') process.stderr.write(`Error: ${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`Error: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
