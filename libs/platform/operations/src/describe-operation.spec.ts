import { internalContext } from '#kernel';
import { openTemporaryDatabase, type Tx } from '#platform/database';
import { defineOperation } from './operation-definition.js';
import { nothingToUndo, Step, type Outputs, type StepContext } from './step.js';
import { describeOperation } from './testing/index.js';

interface Params {
  readonly name: string;
}

/** A host that a dying daemon does not take along. */
class FakeHost {
  readonly things = new Set<string>();
}

class CheckStep extends Step<Params, void> {
  readonly name = 'check';
  override readonly saveOutput = false;
  override async run(): Promise<void> {}
  override undo(): Promise<void> {
    return nothingToUndo('it only looks');
  }
}

class ReserveStep extends Step<Params, { id: number }> {
  readonly name = 'reserve';
  constructor(private readonly write: (fn: (tx: Tx) => void) => Promise<void>) {
    super();
  }

  override async run(context: StepContext, params: Params): Promise<{ id: number }> {
    await this.write((tx) => {
      tx.sql.run("INSERT OR IGNORE INTO config (key, value) VALUES (?, 'pending')", params.name);
      context.save(tx, { id: 7 });
    });
    return { id: 7 };
  }

  override async undo(_context: StepContext, params: Params): Promise<void> {
    await this.write((tx) => void tx.sql.run('DELETE FROM config WHERE key = ?', params.name));
  }
}

class MakeStep extends Step<Params, string> {
  readonly name = 'make';
  constructor(private readonly host: FakeHost) {
    super();
  }

  override async run(_context: StepContext, params: Params, outputs: Outputs): Promise<string> {
    this.host.things.add(params.name);
    return `made ${(outputs['reserve'] as { id: number }).id}`;
  }

  override async undo(_context: StepContext, params: Params): Promise<void> {
    this.host.things.delete(params.name);
  }
}

class FinishStep extends Step<Params, void> {
  readonly name = 'finish';
  constructor(private readonly write: (fn: (tx: Tx) => void) => Promise<void>, private readonly commits: boolean) {
    super();
  }

  override async run(context: StepContext, params: Params): Promise<void> {
    await this.write((tx) => {
      if (this.commits) context.commitPoint(tx);
      tx.sql.run("UPDATE config SET value = 'ready' WHERE key = ?", params.name);
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row goes with reserve');
  }
}

for (const restart of ['resume', 'unwind'] as const) {
  for (const commits of [true, false]) {
    describeOperation<Params>({
      definition: defineOperation<Params>({
        kind: `thing.create-${restart}${commits ? '-commit' : ''}`, version: 1, description: 'Creating thing', conflictsWith: ({ name }) => `thing:${name}`, restart,
        steps: [CheckStep, ReserveStep, MakeStep, FinishStep],
      }),
      harness: async () => {
        const open = await openTemporaryDatabase();
        const host = new FakeHost();
        const write = (fn: (tx: Tx) => void): Promise<void> => open.runner.run(internalContext(), fn);
        const rows = (): unknown[] => open.database.read.all('SELECT key, value FROM config');
        return {
          transactions: open.runner, database: open.database, feed: open.feed,
          steps: [new CheckStep(), new ReserveStep(write), new MakeStep(host), new FinishStep(write, commits)],
          params: { name: 'n' },
          assertDone: () => {
            if (JSON.stringify(rows()) !== '[{"key":"n","value":"ready"}]' || !host.things.has('n')) throw new TypeError(`not done: ${JSON.stringify(rows())}`);
          },
          assertClean: () => {
            if (rows().length > 0 || host.things.size > 0) throw new TypeError(`not clean: ${JSON.stringify(rows())} ${[...host.things].join()}`);
          },
          close: () => open.close(),
        };
      },
    });
  }
}
