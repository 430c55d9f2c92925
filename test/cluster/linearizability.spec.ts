import { describe, expect, it } from 'vitest';
import { checkGrowingSet, checkLinearizable, checkRegister, type RegisterOperation } from '../support/linearizability.js';

const read = (value: string, call: number, returned: number): RegisterOperation => ({ process: 'r', input: { kind: 'read' }, output: value, call, return: returned });
const write = (value: string, call: number, returned: number): RegisterOperation => {
  return { process: 'w', input: { kind: 'write', value }, ...(returned === Infinity ? {} : { output: true }), call, return: returned };
};
const cas = (old: string, value: string, output: boolean | undefined, call: number, returned = Infinity): RegisterOperation => {
  return { process: 'c', input: { kind: 'cas', old, value }, ...(output === undefined ? {} : { output }), call, return: returned };
};
const ok = (...history: RegisterOperation[]): boolean => checkRegister(history, '').ok;

describe('checkRegister', () => {
  it('accepts what happened one after the other', () => {
    expect(ok(write('a', 0, 1), read('a', 2, 3), cas('a', 'b', true, 4, 5), read('b', 6, 7))).toBe(true);
  });

  it('accepts either order of what was concurrent, but the same for all', () => {
    expect(ok(write('a', 0, 10), write('b', 0, 10), read('a', 11, 12))).toBe(true);
    expect(ok(write('a', 0, 10), write('b', 0, 10), read('b', 11, 12), read('b', 13, 14))).toBe(true);
    expect(ok(write('a', 0, 10), write('b', 0, 10), read('b', 11, 12), read('a', 13, 14))).toBe(false);
  });

  it('refuses a read of an old value after the new one was acknowledged', () => {
    expect(ok(write('a', 0, 1), write('b', 2, 3), read('a', 4, 5))).toBe(false);
  });

  it('refuses a new value that was seen and then not any more, while its write was still under way', () => {
    expect(ok(write('a', 0, 1), write('b', 2, 20), read('b', 3, 4), read('a', 5, 6))).toBe(false);
    expect(ok(write('a', 0, 1), write('b', 2, 20), read('a', 3, 4), read('b', 5, 6))).toBe(true);
  });

  it('refuses a value nobody wrote, and a lost acknowledged write', () => {
    expect(ok(write('a', 0, 1), read('z', 2, 3))).toBe(false);
    expect(ok(write('a', 0, 1), read('', 2, 3))).toBe(false);
  });

  it('lets an unknown write happen late, once or never', () => {
    expect(ok(write('a', 0, 1), write('u', 2, Infinity), read('a', 3, 4), read('u', 50, 51))).toBe(true);
    expect(ok(write('a', 0, 1), write('u', 2, Infinity), read('a', 3, 4))).toBe(true);
    expect(ok(write('a', 0, 1), write('u', 2, Infinity), read('u', 3, 4), write('b', 5, 6), read('u', 7, 8))).toBe(false);
    expect(ok(write('u', 5, Infinity), read('u', 1, 2))).toBe(false);
  });

  it('refuses two compare-and-sets of the same value that both succeeded', () => {
    expect(ok(write('a', 0, 1), cas('a', 'b', true, 2, 3), cas('a', 'c', true, 2, 3))).toBe(false);
    expect(ok(write('a', 0, 1), cas('a', 'b', true, 2, 3), cas('a', 'c', false, 2, 3))).toBe(true);
  });

  it('refuses a refusal without a reason, and accepts one an unseen unknown write may be the reason for', () => {
    expect(ok(write('a', 0, 1), cas('a', 'b', false, 2, 3))).toBe(false);
    expect(ok(write('a', 0, 1), write('u', 1, Infinity), cas('a', 'b', false, 2, 3), write('c', 4, 5))).toBe(true);
    expect(ok(write('a', 0, 1), cas('a', 'b', false, 2, 3), write('u', 4, Infinity))).toBe(false);
  });

  it('says where it got stuck', () => {
    const verdict = checkRegister([write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)], '');

    expect(verdict.prefix.map(({ input }) => input)).toEqual([{ kind: 'write', value: 'a' }, { kind: 'write', value: 'b' }]);
    expect(verdict.stuck).toEqual([read('a', 4, 5)]);
  });

  it('agrees with trying all orders on small random histories', () => {
    const random = generator(7);
    let bad = 0;
    for (let round = 0; round < 3000; round++) {
      const history = randomHistory(random);
      const expected = bruteForce(history);
      if (!expected) bad++;
      expect(checkLinearizable(register, history).ok, JSON.stringify(history)).toBe(expected);
    }
    expect(bad).toBeGreaterThan(500);
  });

  it('decides thousands of operations of many processes in seconds', () => {
    const history: RegisterOperation[] = [];
    const random = generator(3);
    let value = '';
    for (let at = 0; at < 4000; at++) {
      const writing = random() < 0.4;
      if (writing) value = `v${at}`;
      const early = at * 10 - random() * 40;
      history.push(writing ? write(value, early, at * 10 + 1) : read(value, early, at * 10 + 1));
      if (random() < 0.02) history.push(write(`lost${at}`, at * 10, Infinity));
    }

    expect(checkRegister(history, '').ok).toBe(true);
  });
});

describe('checkGrowingSet', () => {
  const add = (element: string, call: number, returned: number, outcome?: boolean) => ({ element, call, return: returned, ...(outcome === undefined ? {} : { outcome }) });
  const list = (elements: string[], call: number, returned: number) => ({ elements, call, return: returned, process: 'm1' });

  it('accepts elements under way as there or not there', () => {
    expect(checkGrowingSet({ adds: [add('a', 0, 1, true), add('b', 2, 9, true), add('u', 2, Infinity)], lists: [list(['a'], 3, 4), list(['a', 'b'], 5, 6), list(['a', 'b', 'u'], 10, 11)] })).toEqual([]);
  });

  it.each([
    ['lost', { adds: [add('a', 0, 1, true)], lists: [list([], 2, 3)] }],
    ['twice', { adds: [add('a', 0, 1, true)], lists: [list(['a', 'a'], 2, 3)] }],
    ['nobody added', { adds: [], lists: [list(['a'], 2, 3)] }],
    ['refused', { adds: [add('a', 0, 1, false)], lists: [list(['a'], 2, 3)] }],
    ['before it was added', { adds: [add('a', 5, 6, true)], lists: [list(['a'], 2, 3)] }],
    ['back in time', { adds: [add('a', 0, 20, true)], lists: [list(['a'], 2, 3), list([], 4, 5)] }],
    ['of two lists', { adds: [add('a', 0, 20, true), add('b', 0, 20, true), add('c', 0, 20, true)], lists: [list(['a'], 2, 9), list(['b', 'c'], 2, 9)] }],
  ])('finds what is %s', (words, history) => {
    expect(checkGrowingSet(history).join('\n')).toContain(words);
  });
});

const register = {
  initial: '',
  step: (state: string, input: RegisterOperation['input'], output: RegisterOperation['output']): string | null => {
    if (input.kind === 'read') return output === undefined || output === state ? state : null;
    if (input.kind === 'write') return input.value;
    if (output === false) return state === input.old ? null : state;
    return state === input.old ? input.value : null;
  },
};

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

function randomHistory(random: () => number): RegisterOperation[] {
  const values = ['', 'a', 'b'];
  const any = (): string => values[Math.floor(random() * values.length)]!;
  return Array.from({ length: 5 }, () => {
    const call = Math.floor(random() * 10);
    const returned = random() < 0.15 ? Infinity : call + 1 + Math.floor(random() * 6);
    const kind = random();
    if (kind < 0.5) return read(any(), call, returned === Infinity ? call + 1 : returned);
    return kind < 0.8 ? write(any(), call, returned) : cas(any(), any(), returned === Infinity ? undefined : random() < 0.6, call, returned);
  });
}

/** Every order of every choice of unknown operations that keeps real time. */
function bruteForce(history: readonly RegisterOperation[], state = ''): boolean {
  if (history.every((operation) => operation.return === Infinity)) return true;
  return history.some((first, index) => {
    const rest = history.filter((_, other) => other !== index);
    if (rest.some((other) => other.return < first.call)) return false;
    const next = register.step(state, first.input, first.output);
    return next !== null && bruteForce(rest, next);
  });
}
