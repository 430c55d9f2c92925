import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { internal, SilentLogger } from '#kernel';
import { Reconciler, ReconcileRunner } from './index.js';

class Counting extends Reconciler {
  readonly name = 'counting';
  runs = 0;
  atOnce = 0;
  mostAtOnce = 0;
  failures = 0;
  aborted = false;

  constructor(readonly periodMs: number, private readonly takesMs = 0) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    this.runs++;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    await sleep(this.takesMs, undefined, { signal }).catch(() => { this.aborted = true; });
    this.atOnce--;
    if (this.failures-- > 0) throw internal('not today');
  }
}

describe('ReconcileRunner', () => {
  let runner: ReconcileRunner;
  beforeEach(() => { runner = new ReconcileRunner(new SilentLogger()); });
  afterEach(() => runner.stop());

  it('runs at once and then by its period', async () => {
    const reconciler = new Counting(10);
    runner.add(reconciler);

    await vi.waitFor(() => expect(reconciler.runs).toBeGreaterThan(2));
  });

  it('runs once more for all signals that came during a run, never two at a time', async () => {
    const reconciler = new Counting(0, 30);
    runner.add(reconciler, { firstMs: 60_000 });
    const first = runner.signal('counting');
    await sleep(5);
    await Promise.all([first, runner.signal('counting'), runner.signal('counting'), runner.signal('counting')]);

    expect(reconciler.runs).toBe(2);
    expect(reconciler.mostAtOnce).toBe(1);
    await runner.signal('counting');
    expect(reconciler.runs).toBe(3);
  });

  it('shows how the last run went, and goes on after a failure', async () => {
    const reconciler = new Counting(0, 5);
    reconciler.failures = 1;
    runner.add(reconciler, { firstMs: 60_000 });
    expect(runner.lastRuns()).toMatchObject([{ name: 'counting', startedAt: null, running: false }]);
    await runner.signal('counting');
    expect(runner.lastRuns()).toMatchObject([{ error: 'not today', startedAt: expect.any(Date) }]);
    await runner.signal('counting');

    expect(runner.lastRuns()).toMatchObject([{ error: null }]);
    expect(runner.lastRuns()[0]?.durationMs).toBeGreaterThan(3);
  });

  it('stops: what runs is told, nothing starts again', async () => {
    const reconciler = new Counting(1, 60_000);
    runner.add(reconciler);
    await vi.waitFor(() => expect(reconciler.atOnce).toBe(1));
    await runner.stop();
    await runner.signal('counting');

    expect(reconciler.aborted).toBe(true);
    expect(reconciler.runs).toBe(1);
  });

  it('knows no reconciler of that name', async () => {
    await expect(runner.signal('nobody')).resolves.toBeUndefined();
  });
});
