import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalStore } from './local-store.js';

describe('LocalStore', () => {
  let directory: string;
  let store: LocalStore;
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'roost-local-')); store = new LocalStore(directory); });
  afterEach(() => { store.close(); rmSync(directory, { recursive: true }); });

  it('keeps values by bucket and key, over a restart', () => {
    store.set('a', 'k', '1');
    store.setMany('b', { k: '2', l: '3' });
    store.close();
    store = new LocalStore(directory);

    expect(store.get('a', 'k')).toBe('1');
    expect(store.all('b')).toEqual(new Map([['k', '2'], ['l', '3']]));
    expect(store.get('c', 'k')).toBeUndefined();
  });

  it('replaces, and removes with null', () => {
    store.setMany('a', new Map([['k', '1'], ['l', '1']]));
    store.setMany('a', { k: null, l: '2', m: null });

    expect(store.all('a')).toEqual(new Map([['l', '2']]));
  });

  it('changes all keys or none', () => {
    expect(() => store.setMany('a', { k: '1', l: undefined as unknown as string })).toThrow();
    expect(store.all('a').size).toBe(0);
    store.set('a', 'k', '2');
    expect(store.get('a', 'k')).toBe('2');
  });
});
