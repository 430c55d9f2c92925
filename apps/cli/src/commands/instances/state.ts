import { AppError, internal, invalid, messageOf } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url } from '../../server.js';
import type { InstanceView } from '../instance-shape.js';

type Action = 'start' | 'stop' | 'restart' | 'freeze';

function changeState(action: Action): Run {
  return async (invocation) => {
    const { flags, args } = invocation;
    const names = await targets(invocation, action);
    if (names === undefined) return;
    if (flags.text('console') !== '') {
      if (flags.bool('all')) throw invalid('--console can\'t be used with --all');
      if (names.length !== 1) throw invalid('--console only works with a single instance');
    }
    const failures: [string, unknown][] = [];
    await Promise.all(names.map(async (name) => {
      try {
        await one(invocation, action, name);
      } catch (error) {
        failures.push([name, error]);
      }
    }));
    if (failures.length === 0) return;
    if (names.length === 1 && !flags.bool('all')) {
      const [name, error] = failures[0]!;
      if (!AppError.is(error) || error.details['operation'] === undefined) throw error;
      throw new AppError('internal', `${messageOf(error)}\nTry \`${invocation.program} info --show-log ${args[0] ?? name}\` for more info`);
    }
    for (const [name, error] of failures) invocation.note(`error: ${name}: ${messageOf(error)}`);
    throw internal(`Some instances failed to ${action === 'freeze' ? 'pause' : action}`);
  };
}

/** Whom it is about; undefined when nobody was named, which shows the help. */
async function targets(invocation: Invocation, action: Action): Promise<readonly string[] | undefined> {
  const { flags, args } = invocation;
  if (!flags.bool('all')) {
    if (args.length === 0) {
      invocation.noteUsage();
      return undefined;
    }
    return args;
  }
  const remotes = args.length === 0 ? [`${invocation.config.defaultRemote}:`] : args;
  const found: string[] = [];
  for (const text of remotes) {
    const { remote, name } = invocation.parse(text);
    if (name !== '') throw invalid('Both --all and instance name given');
    const server = await invocation.server(remote);
    for (const instance of await server.get<InstanceView[]>(url(['instances'], { recursion: 1 }))) {
      const { status_code: code } = instance;
      const wanted = action === 'start' ? code === 102 || code === 110 : action === 'freeze' ? code === 103 : code === 103 || code === 110 || code === 112;
      if (wanted) found.push(`${remote}:${instance.name}`);
    }
  }
  return found;
}

async function one(invocation: Invocation, action: Action, text: string): Promise<void> {
  const { flags } = invocation;
  const { server, name } = await invocation.place(text);
  if (name === '') throw invalid(`Must supply instance name for: "${text}"`);
  const path = url(['instances', name, 'state']);
  const now = action === 'start' ? await server.get<InstanceView>(url(['instances', name])) : undefined;
  // What is frozen is not started but let go on.
  const wanted = now?.status_code === 110 ? 'unfreeze' : action;
  // What has a stored state gets it back, unless told otherwise.
  const stateful = action === 'stop' ? flags.bool('stateful') : wanted === 'start' ? now?.stateful === true && !flags.bool('stateless') : false;
  const body = { action: wanted, timeout: action === 'stop' || action === 'restart' ? flags.int('timeout') : -1, force: flags.bool('force'), stateful };
  const answer = await server.api.call('PUT', path, { body });
  const type = flags.text('console');
  if (type !== '' && action === 'stop') await attach(invocation, text, type);
  await invocation.wait(server, answer, action === 'start' ? 'Starting' : '');
  if (type !== '' && action !== 'stop') await attach(invocation, text, type);
}

async function attach(invocation: Invocation, text: string, type: string): Promise<void> {
  const { attachConsole } = await import('./console.js');
  await attachConsole(invocation, text, type);
}

export const start = changeState('start');
export const stop = changeState('stop');
export const restart = changeState('restart');
export const pause = changeState('freeze');
