import { describe, expect, it } from 'vitest';
import { memberOfOperation, newOperationId } from './ids.js';

describe('ids of operations', () => {
  it('are UUIDs of version 4 that name their member', () => {
    for (const member of [1, 77, 0xffff]) {
      const id = newOperationId(member);

      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(memberOfOperation(id)).toBe(member);
    }
    expect(newOperationId(1)).not.toBe(newOperationId(1));
  });

  it('belong to nobody when they are no UUIDs, and to no member outside the range', () => {
    expect(memberOfOperation('nope')).toBeNull();
    expect(() => newOperationId(0)).toThrow('Invalid member number 0');
    expect(() => newOperationId(0x10000)).toThrow('Invalid member number 65536');
  });
});
