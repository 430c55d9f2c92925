import { describe, expect, it } from 'vitest';
import { internalContext, type LocalMember } from '#kernel';
import type { Tx } from '#platform/database';
import type { OperationDefinition } from '../operation-definition.js';
import type { OperationHandle } from '../operation-handle.js';
import type { Step, StepContext } from '../step.js';
import { DetachedOperations, type DatabaseParts } from './detached-operations.js';

/** A fresh world for one generated test. */
export interface OperationHarness<P> extends DatabaseParts {
  /** The definition's steps, in order, wired to this world. */
  readonly steps: readonly Step<P, any>[];
  readonly params: P;
  /** Who carries it out, where that is not member 1. */
  readonly member?: LocalMember;
  /** Same as in production; undone by the first step. */
  readonly reserve?: (tx: Tx) => void | Promise<void>;
  /** Operations this one leaves behind for others, which are carried out here too. */
  readonly delegates?: readonly { readonly definition: OperationDefinition<any>; readonly steps: readonly Step<any, any>[] }[];
  /** Everything the operation promises is there. */
  assertDone(): Promise<void> | void;
  /** The world looks as before the operation. */
  assertClean(): Promise<void> | void;
  close(): Promise<void> | void;
}

export interface OperationTestOptions<P> {
  readonly definition: OperationDefinition<P>;
  readonly harness: () => Promise<OperationHarness<P>>;
  /** Milliseconds for one generated test. */
  readonly timeoutMs?: number;
}

type Around<P> = (run: () => Promise<unknown>, context: StepContext, params: P) => Promise<unknown>;

interface Faults<P> {
  readonly run?: (step: string) => Around<P> | undefined;
  readonly undoTimes?: number;
  /** False keeps the last step from ending the operation with its own transaction: after that nothing would be undone. */
  readonly mayFinish?: boolean;
}

function unfinished(context: StepContext): StepContext {
  return { ...context, finish: () => {} };
}

/** The same step, with something done around it. */
class WrappedStep<P> {
  readonly name: string;
  readonly saveOutput: boolean;

  constructor(private readonly inner: Step<P, any>, private readonly faults: Faults<P>) {
    this.name = inner.name;
    this.saveOutput = inner.saveOutput;
  }

  async run(context: StepContext, params: P, outputs: Readonly<Record<string, unknown>>): Promise<unknown> {
    const run = (): Promise<unknown> => this.inner.run(this.faults.mayFinish === false ? unfinished(context) : context, params, outputs);
    const around = this.faults.run?.(this.name);
    return around === undefined ? run() : around(run, context, params);
  }

  async undo(context: StepContext, params: P, output: unknown): Promise<void> {
    for (let time = 0; time < (this.faults.undoTimes ?? 1); time++) await this.inner.undo(context, params, output);
  }
}

const never = new Promise<never>(() => {});

/**
 * Generates what every operation must stand: it succeeds; fails at each step, before and after the step's work, and leaves a clean slate;
 * each run twice; each undo twice; killed before and after each boundary and taken up by a new daemon on the same database; cancelled
 * at each step. Names of the steps come from the harness, so a new step is tested without a new line.
 */
export function describeOperation<P>(options: OperationTestOptions<P>): void {
  const { definition } = options;
  const stepNames = definition.steps.map((step) => step.name);
  const settings = { undoRetryDelaysMs: [1], progressIntervalMs: 0 };
  const limit = { timeout: options.timeoutMs ?? 10_000 };

  const daemon = (world: OperationHarness<P>, faults: Faults<P> = {}): DetachedOperations => {
    const operations = new DetachedOperations(world, world.member === undefined ? settings : { ...settings, member: world.member });
    operations.registry.add(definition, world.steps.map((step) => new WrappedStep(step, faults) as unknown as Step<P, unknown>));
    for (const { definition: left, steps: theirs } of world.delegates ?? []) operations.registry.add(left, theirs);
    return operations;
  };
  const schedule = (operations: DetachedOperations, world: OperationHarness<P>): Promise<OperationHandle> =>
    operations.service.schedule(internalContext(), definition.kind, world.params, { resources: {}, reserve: world.reserve });
  const inWorld = async (test: (world: OperationHarness<P>) => Promise<void>): Promise<void> => {
    const world = await options.harness();
    try {
      expect(world.steps.length).toBe(stepNames.length);
      await test(world);
    } finally {
      await world.close();
    }
  };
  const nameOf = (world: OperationHarness<P>, index: number): string => world.steps[index]!.name;
  const only = (name: string, around: Around<P>) => (step: string): Around<P> | undefined => (step === name ? around : undefined);
  /** Final status of the row after a new daemon took over. */
  const settled = async (world: OperationHarness<P>, id: string): Promise<string> => {
    const successor = daemon(world);
    await successor.service.recover();
    await (successor.service.list(null).find((operation) => operation.id === id)?.done ?? Promise.resolve());
    await successor.die();
    return world.database.read.get<{ status: string }>('SELECT status FROM operations WHERE id = ?', id)?.status ?? 'gone';
  };

  describe(`operation ${definition.kind}`, () => {
    it('succeeds', limit, () => inWorld(async (world) => {
      const operations = daemon(world);

      const result = await (await schedule(operations, world)).wait();

      expect(result.err).toBe('');
      expect(result.status).toBe('Success');
      await world.assertDone();
      await operations.die();
    }));

    it('succeeds when each step runs twice', limit, () => inWorld(async (world) => {
      const operations = daemon(world, { run: () => async (run) => { await run(); return run(); } });

      const result = await (await schedule(operations, world)).wait();

      expect(result.err).toBe('');
      await world.assertDone();
      await operations.die();
    }));

    for (const [index, className] of stepNames.entries()) {
      for (const when of ['before', 'after'] as const) {
        it(`leaves a clean slate when it fails ${when} ${className}, undone twice`, limit, () => inWorld(async (world) => {
          const operations = daemon(world, {
            undoTimes: 2,
            run: only(nameOf(world, index), async (run) => {
              if (when === 'after') await run();
              throw new TypeError('planted failure');
            }),
            mayFinish: false,
          });

          const result = await (await schedule(operations, world)).wait();

          expect(result).toMatchObject({ status: 'Failure', err: 'planted failure' });
          await world.assertClean();
          expect(world.database.read.all('SELECT last_message FROM warnings')).toEqual([]);
          await operations.die();
        }));

        it(`is ${definition.restart === 'resume' ? 'finished' : 'finished or undone'} when the daemon is killed ${when} ${className}`, limit, () => inWorld(async (world) => {
          const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
          const operations = daemon(world, {
            run: only(nameOf(world, index), async (run) => {
              if (when === 'after') await run();
              reach();
              return never;
            }),
          });
          const handle = await schedule(operations, world);
          await reached;
          await operations.die();

          const status = await settled(world, handle.id);

          if (definition.restart === 'resume') expect(status).toBe('Success');
          if (status === 'Success') await world.assertDone();
          else {
            expect(status).toBe('Failure');
            await world.assertClean();
          }
        }));
      }

      it(`is undone, or refuses, when cancelled at ${className}`, limit, () => inWorld(async (world) => {
        let refused = false;
        const operations = daemon(world, {
          run: only(nameOf(world, index), async (run, context) => {
            await operations.service.cancel(internalContext(), context.operationId).catch(() => { refused = true; });
            return run();
          }),
        });

        const result = await (await schedule(operations, world)).wait();

        expect(result.status).toBe(refused ? 'Success' : 'Cancelled');
        if (refused) await world.assertDone();
        else await world.assertClean();
        await operations.die();
      }));
    }

    it('goes on undoing when the daemon is killed while undoing', limit, () => inWorld(async (world) => {
      const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
      const last = world.steps.length - 1;
      const operations = new DetachedOperations(world, world.member === undefined ? settings : { ...settings, member: world.member });
      const steps = world.steps.map((step, index) => Object.assign(Object.create(step) as Step<P, any>, {
        name: step.name,
        saveOutput: step.saveOutput,
        ...(index === last ? { run: async (context: StepContext, params: P, outputs: Record<string, unknown>) => { await step.run(unfinished(context), params, outputs); throw new TypeError('planted failure'); } } : {}),
        ...(index === 0 ? { undo: () => { reach(); return never; } } : {}),
      }));
      operations.registry.add(definition, steps);
      for (const { definition: left, steps: theirs } of world.delegates ?? []) operations.registry.add(left, theirs);
      const handle = await schedule(operations, world);
      await reached;
      await operations.die();

      expect(await settled(world, handle.id)).toBe('Failure');
      await world.assertClean();
    }));
  });
}
