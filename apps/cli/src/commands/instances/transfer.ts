import type { Operation } from '#api-types';
import type { ApiAnswer } from '#client';
import { internal, invalid, messageOf } from '#kernel';
import type { Invocation } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { addressesOf } from '../images/image-source.js';
import { relayOperations } from './relay.js';

export interface Migration {
  readonly from: Server;
  readonly to: Server;
  readonly fromRemote: string;
  readonly toRemote: string;
  /** Where the migration is asked for at the source. Example: `/1.0/instances/c1` */
  readonly sourcePath: string;
  /** What is posted there. */
  readonly sourceBody: Readonly<Record<string, unknown>>;
  /** Where the object is made at the target. */
  readonly targetPath: string;
  /** What is posted there, but for its `source`. */
  readonly targetBody: Readonly<Record<string, unknown>>;
  /** Part of the target's `source`: `{"base-image": …, "instance_only": true}` */
  readonly targetSource: Readonly<Record<string, unknown>>;
  readonly mode: string;
  /** Shown while it lasts. */
  readonly what: string;
  /** Begins the complaint when it cannot be pulled. */
  readonly failure: string;
}

/** Address, and what went wrong with it. */
type Failure = readonly [address: string, reason: string];

function failureOf(what: string, failures: readonly Failure[]): Error {
  return internal(failures.length === 1 ? `${what}: ${failures[0]![1]}` : `${what}:\n${failures.map(([address, reason]) => ` - ${address}: ${reason}`).join('\n')}`);
}

type Secrets = Readonly<Record<string, string>>;

const idOf = (path: string): string => path.split('?')[0]!;

/** Moves data between two servers: who connects to whom is `mode`. Every address is tried, and every failure told. Returns the target's operation. */
export async function migrate(invocation: Invocation, migration: Migration): Promise<Operation> {
  const { mode } = migration;
  if (mode === 'pull') return pull(invocation, migration);
  if (mode === 'push') return push(invocation, migration);
  if (mode === 'relay') return relay(invocation, migration);
  throw invalid(`The requested mode is not supported: ${mode}`);
}

async function pull(invocation: Invocation, migration: Migration): Promise<Operation> {
  const { from, to, fromRemote, targetPath, targetBody, targetSource, what } = migration;
  const offer = await from.api.call<Operation>('POST', migration.sourcePath, { body: migration.sourceBody });
  const failures: Failure[] = [];
  for (const address of addressesOf(invocation, from, fromRemote)) {
    const source = { ...targetSource, type: 'migration', mode: 'pull', operation: `${address}${idOf(offer.operation)}`, certificate: from.info.environment?.certificate ?? '', secrets: offer.metadata.metadata as Secrets };
    try {
      return await invocation.wait(to, await to.api.call('POST', targetPath, { body: { ...targetBody, source } }), what);
    } catch (error) {
      failures.push([address, messageOf(error)]);
    }
  }
  await giveUp(from, offer);
  throw failureOf(migration.failure, failures);
}

async function push(invocation: Invocation, migration: Migration): Promise<Operation> {
  const { from, to, toRemote, targetPath, targetBody, targetSource, what } = migration;
  const offer = await to.api.call<Operation>('POST', targetPath, { body: { ...targetBody, source: { ...targetSource, type: 'migration', mode: 'push' } } });
  const failures: Failure[] = [];
  for (const address of addressesOf(invocation, to, toRemote)) {
    const target = { operation: `${address}${idOf(offer.operation)}`, secrets: offer.metadata.metadata as Secrets, certificate: to.info.environment?.certificate ?? '' };
    try {
      await invocation.wait(from, await from.api.call('POST', migration.sourcePath, { body: { ...migration.sourceBody, target } }), what);
      return await invocation.wait(to, offer, what);
    } catch (error) {
      failures.push([address, messageOf(error)]);
    }
  }
  await giveUp(to, offer);
  throw failureOf('Failed instance migration', failures);
}

async function relay(invocation: Invocation, migration: Migration): Promise<Operation> {
  const { from, to, targetPath, targetBody, targetSource, what } = migration;
  const target = await to.api.call<Operation>('POST', targetPath, { body: { ...targetBody, source: { ...targetSource, type: 'migration', mode: 'push' } } });
  const source = await from.api.call<Operation>('POST', migration.sourcePath, { body: migration.sourceBody }).catch(async (error: unknown) => {
    await giveUp(to, target);
    throw error;
  });
  const connections = relayOperations(
    { api: from.api, path: idOf(source.operation), secrets: source.metadata.metadata as Secrets }, { api: to.api, path: idOf(target.operation), secrets: target.metadata.metadata as Secrets },
  );
  // Whichever side fails first says why.
  const [, made] = await Promise.race([connections.failed, Promise.all([invocation.wait(from, source, what), invocation.wait(to, target, what)])]).finally(() => connections.close());
  return made;
}

/** Ends what was offered and nobody came for: it would keep its name until it is tired of waiting. */
async function giveUp(server: Server, offer: ApiAnswer<Operation>): Promise<void> {
  await server.api.call('DELETE', idOf(offer.operation)).catch(() => undefined);
}

/** Of a configuration what goes along: `volatile.` keys tell of the place where it was. */
export function portableConfig(config: Readonly<Record<string, string>> | null): Record<string, string> {
  return Object.fromEntries(Object.entries(config ?? {}).filter(([key]) => !key.startsWith('volatile.') || key === 'volatile.base_image'));
}

export function instanceUrl(name: string, query: Readonly<Record<string, string>> = {}): string {
  const [instance = '', snapshot] = name.split('/');
  return url(snapshot === undefined ? ['instances', instance] : ['instances', instance, 'snapshots', snapshot], query);
}
