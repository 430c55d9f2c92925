import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { decodeEntry, encodeEntry } from './entry-codec.js';
import type { LogEntry } from './replicated-log.js';

const entry = (payload: Uint8Array): LogEntry => ({
  incarnation: 'i', index: 7, id: 'x', time: '2026-11-21T00:00:00Z', member: 1, requestor: 'unix:root', level: 4, layoutHash: 'l', previous: 'p', hash: 'h', kind: 'rows', payload,
});

it('carries payloads of every size as they were', () => {
  for (const payload of [new Uint8Array(), new Uint8Array([0x0a, 0x7b, 0]), new Uint8Array(randomBytes(100_000)), new Uint8Array(300_000).fill(65)]) {
    expect(decodeEntry(encodeEntry(entry(payload)))).toEqual(entry(payload));
  }
});

it('packs large ones, which repeat themselves', () => {
  expect(encodeEntry(entry(new Uint8Array(10_000_000).fill(65))).length).toBeLessThan(10_000);
});
