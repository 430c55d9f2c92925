import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { precondition, SilentLogger, unavailable } from '#kernel';
import { QuorumMonitor } from './quorum-monitor.js';

describe('QuorumMonitor', () => {
  let monitor: QuorumMonitor;
  let answers: boolean;
  beforeEach(() => {
    vi.useFakeTimers();
    answers = true;
    monitor = new QuorumMonitor(new SilentLogger());
    monitor.start(async (timeoutMs) => {
      if (answers) return;
      await new Promise((resolve) => setTimeout(resolve, timeoutMs));
      throw unavailable('silence');
    });
  });
  afterEach(() => {
    monitor.stop();
    vi.useRealTimers();
  });

  it('establishes a loss within five seconds although nobody asks, and ends every wait then', async () => {
    await vi.advanceTimersByTimeAsync(3000);
    const { lostSignal } = monitor;
    answers = false;
    await vi.advanceTimersByTimeAsync(3000);
    expect([monitor.state, lostSignal.aborted]).toEqual(['waiting', false]);
    expect(() => monitor.assertNotLost()).not.toThrow();
    await vi.advanceTimersByTimeAsync(2000);

    expect([monitor.state, lostSignal.aborted]).toEqual(['lost', true]);
    expect(() => monitor.assertNotLost()).toThrow('quorum');
  });

  it('waits out an election', async () => {
    answers = false;
    await vi.advanceTimersByTimeAsync(2000);
    answers = true;
    await vi.advanceTimersByTimeAsync(2500);
    expect(monitor.state).toBe('ok');
  });

  it('notices by itself that a majority is back', async () => {
    answers = false;
    await vi.advanceTimersByTimeAsync(8000);
    answers = true;
    await vi.advanceTimersByTimeAsync(2500);
    expect([monitor.state, monitor.lostSignal.aborted]).toEqual(['ok', false]);
  });

  it('stays lost once this history was left behind, with the reason for whoever writes', async () => {
    monitor.fence('left behind');
    await vi.advanceTimersByTimeAsync(5000);
    expect(monitor.state).toBe('lost');
    expect(() => monitor.assertNotLost()).toThrow('left behind');
  });

  it('takes a refusal for an answer', () => {
    monitor.missed(precondition('refused'));
    expect(monitor.state).toBe('ok');
  });
});
