import { basename, resolve } from 'node:path';
import { internal, invalid, messageOf } from '#kernel';
import type { Invocation, Run } from '../../../invocation.js';
import { kinds, labelOf, readDeclarations, type Declaration } from './declarations.js';
import { differences, marker, type Actual, type Difference } from './differences.js';
import { Objects } from './objects.js';

/** How many instances are worked on at once; all else goes one by one. */
const atOnce = 4;

interface Change {
  readonly wanted: Declaration;
  readonly actual: Actual | undefined;
  readonly differences: readonly Difference[];
  /** The description is the one it was last made equal to: somebody else has changed it. */
  readonly drifted: boolean;
  /** It is as described, and says of itself that it was made after another version of the description. */
  readonly outdated: boolean;
}

/** Makes a server as the files of a directory describe it. */
export const apply: Run = async (invocation) => {
  const { flags } = invocation;
  const path = flags.text('file');
  if (path === '') throw invalid('Where are the descriptions? Name a file or a directory with -f');
  const server = await invocation.serverOf(invocation.arg(0));
  const set = flags.text('name') || basename(resolve(path)).replace(/\.ya?ml$/, '').replace(/\s+/g, '-');
  const objects = new Objects(invocation, server, set);
  const wanted = readDeclarations(path).map((one) => objects.parts.spread(one));
  const dryRun = flags.bool('dry-run');
  const count = { made: 0, changed: 0, deleted: 0, same: 0 };
  const failures: string[] = [];
  const attempt = async (label: string, action: () => Promise<void>): Promise<void> => {
    if (dryRun) return;
    await action().catch((error: unknown) => { failures.push(`${label}: ${messageOf(error)}`); });
  };
  for (const kind of kinds) {
    const ofKind = wanted.filter((one) => one.kind === kind);
    await inParallel(ofKind, kind === 'instance' ? atOnce : 1, async (one) => {
      if (failures.length > 0 && kind !== 'instance') return;
      const change = await compare(objects, one, set, dryRun);
      if (change.actual === undefined) {
        count.made++;
        invocation.print(`+ ${labelOf(one)}`);
        return attempt(labelOf(one), () => objects.create(one));
      }
      if (change.differences.length === 0) {
        count.same++;
        return change.outdated ? attempt(labelOf(one), () => objects.update(one, change.actual!)) : undefined;
      }
      count.changed++;
      invocation.print(describe(change));
      return attempt(labelOf(one), () => objects.update(one, change.actual!));
    });
    // What comes later needs what came before.
    if (failures.length > 0) throw failed(failures);
  }
  if (flags.bool('prune')) {
    const named = new Set(wanted.map(labelOf));
    const gone = (await objects.madeHere()).filter((one) => !named.has(labelOf(one)) && !named.has(labelOf({ ...one, target: '' }))).sort((a, b) => kinds.indexOf(b.kind) - kinds.indexOf(a.kind));
    for (const one of gone) {
      count.deleted++;
      invocation.print(`- ${labelOf(one)}`);
      await attempt(labelOf(one), () => objects.remove(one));
    }
    if (failures.length > 0) throw failed(failures);
  }
  report(invocation, count, dryRun);
};

function failed(failures: readonly string[]): Error {
  return internal(failures.length === 1 ? failures[0]! : `${failures.length} objects could not be made so:\n${failures.map((one) => ` - ${one}`).join('\n')}`);
}

function report(invocation: Invocation, count: { made: number; changed: number; deleted: number; same: number }, dryRun: boolean): void {
  const { made, changed, deleted, same } = count;
  const all = made + changed + deleted;
  if (all === 0) return invocation.print(`Nothing to do: ${same} objects are as described`);
  const verb = dryRun ? 'would be ' : '';
  invocation.print(`${made} ${verb}made, ${changed} ${verb}changed, ${deleted} ${verb}deleted, ${same} as described`);
}

async function compare(objects: Objects, wanted: Declaration, set: string, dryRun: boolean): Promise<Change> {
  // In a dry run a project that would be made is not there, and nothing in it.
  const actual = await objects.load(wanted).catch((error: unknown) => {
    if (dryRun) return undefined;
    throw error;
  });
  if (actual === undefined) return { wanted, actual, differences: [], drifted: false, outdated: false };
  const [owner, hash] = (actual.config[marker] ?? '').split(' ');
  return { wanted, actual, differences: differences(wanted, actual), drifted: owner === set && hash === wanted.hash, outdated: owner === set && hash !== wanted.hash };
}

function describe({ wanted, differences: found, drifted }: Change): string {
  const lines = found.map(({ what, is, wanted: to }) => `    ${what}: ${shown(is)} -> ${shown(to)}`);
  return [`~ ${labelOf(wanted)}${drifted ? ' (drift: changed since it was applied)' : ''}`, ...lines].join('\n');
}

function shown(value: string | undefined): string { return value === undefined ? 'none' : value === '' ? '""' : value; }

async function inParallel<T>(list: readonly T[], width: number, action: (one: T) => Promise<void>): Promise<void> {
  const queue = [...list];
  await Promise.all(Array.from({ length: width }, async () => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await action(one);
  }));
}
