import { wrap } from '#kernel';
import type { Api } from './api.js';
import { applyPreseed } from './apply.js';
import { checkFlags, planAuto, type InitFlags } from './auto.js';
import { dumpPreseed } from './dump.js';
import { askPreseed } from './interactive.js';
import { Questions } from './questions.js';
import { parsePreseed, type Preseed } from './preseed.js';

/** `roostd init`: a pure client of the API. What it does is a preseed, however it came about. */
export async function init(api: Api, flags: InitFlags): Promise<void> {
  checkFlags(flags);
  try {
    await api.get('/1.0');
  } catch (error) {
    throw wrap(error, 'Failed to connect to local LXD');
  }
  if (flags.dump) {
    process.stdout.write(`${await dumpPreseed(api)}\n`);
    return;
  }
  await applyPreseed(api, await plan(api, flags));
}

async function plan(api: Api, flags: InitFlags): Promise<Preseed> {
  if (flags.preseed) {
    let yaml = '';
    for await (const chunk of process.stdin) yaml += String(chunk);
    return parsePreseed(yaml);
  }
  if (flags.auto || flags.minimal) return planAuto(api, flags);
  const ask = new Questions();
  try {
    return await askPreseed(api, ask);
  } finally {
    ask.close();
  }
}
