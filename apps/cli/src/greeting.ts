import type { Invocation } from './invocation.js';

/** The first call of a user says what to do first, and writes down the configuration. */
export async function greet(invocation: Invocation): Promise<void> {
  const { config, program, command, path } = invocation;
  if (invocation.flags.bool('force-local') || config.exists || ['help', 'manpage', 'completion', '__complete'].includes(command.name)) return;
  const daemon = program === 'lxc' ? 'lxd' : 'roostd';
  const product = program === 'lxc' ? 'LXD' : 'Roost';
  const lines: string[] = [];
  if (!await hasStorage(invocation)) lines.push(`If this is your first time running ${product} on this machine, you should also run: ${daemon} init`);
  if (!['init', 'launch'].includes(command.name)) {
    lines.push(`To start your first container, try: ${program} launch ubuntu:22.04`, `Or for a virtual machine: ${program} launch ubuntu:22.04 --vm`);
  }
  if (program === 'roost' && path[1] !== 'remote' && config.importable !== undefined) lines.push(`Remotes of \`lxc\` can be taken over: roost remote import ${config.importable}`);
  if (lines.length > 0) invocation.note(`${lines.join('\n')}\n`);
  config.save();
}

/** Whether the local daemon was set up; one that is not there is no reason to speak of it. */
async function hasStorage(invocation: Invocation): Promise<boolean> {
  const api = invocation.api('local');
  try {
    const { environment } = await api.get<{ environment?: { storage?: string } }>('/1.0', { signal: AbortSignal.timeout(2000) });
    return (environment?.storage ?? '') !== '';
  } catch {
    return true;
  } finally {
    api.close();
  }
}
