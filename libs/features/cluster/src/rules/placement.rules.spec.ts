import { describe, expect, it } from 'vitest';
import { choosePlacement, type PlacementCandidate, type PlacementRequest } from './placement.rules.js';

const candidate = (id: number, changes: Partial<PlacementCandidate> = {}): PlacementCandidate => ({
  id, name: `m${id}`, architecture: 'x86_64', state: 'created', groups: ['default'], config: {}, instances: 0, online: true, ...changes,
});
const anywhere: PlacementRequest = { member: null, group: null, architectures: [] };
const chosen = (candidates: PlacementCandidate[], request: Partial<PlacementRequest> = {}) => choosePlacement(candidates, { ...anywhere, ...request }).member?.name ?? null;

describe('choosePlacement', () => {
  it('takes the member with the fewest instances, of equals the one that joined first', () => {
    expect(chosen([candidate(3), candidate(1, { instances: 2 }), candidate(2)])).toBe('m2');
    expect(chosen([candidate(1), candidate(2), candidate(3)])).toBe('m1');
  });

  it.each<[string, Partial<PlacementCandidate>, string]>([
    ['offline', { online: false }, 'is offline'],
    ['evacuated', { state: 'evacuated' }, 'is evacuated'],
    ['pending', { state: 'pending' }, 'has not joined yet'],
    ['set to manual', { config: { 'scheduler.instance': 'manual' } }, 'takes only instances that name it (scheduler.instance is manual)'],
    ['set to group', { config: { 'scheduler.instance': 'group' } }, 'takes only instances that name one of its groups (scheduler.instance is group)'],
    ['of another architecture', { architecture: 'aarch64' }, 'has the architecture aarch64'],
  ])('passes over a member that is %s, and says why', (_, changes, reason) => {
    const placement = choosePlacement([candidate(1, changes), candidate(2, { instances: 5 })], { ...anywhere, architectures: ['x86_64'] });

    expect(placement.member?.name).toBe('m2');
    expect(placement.reasons).toEqual([{ member: 'm1', reason }]);
  });

  it('says what the others had more of', () => {
    expect(choosePlacement([candidate(1, { instances: 3 }), candidate(2, { instances: 1 })], anywhere).reasons).toEqual([{ member: 'm1', reason: 'has 3 instances, m2 has 1' }]);
  });

  it('keeps to a group, where members with scheduler.instance=group take part and manual ones do not', () => {
    const members = [
      candidate(1), candidate(2, { groups: ['gpu'], config: { 'scheduler.instance': 'manual' } }),
      candidate(3, { groups: ['gpu'], config: { 'scheduler.instance': 'group' }, instances: 7 }),
    ];

    expect(chosen(members, { group: 'gpu' })).toBe('m3');
    expect(chosen(members.slice(0, 2), { group: 'gpu' })).toBeNull();
  });

  it('takes a member that is named, manual or offline, but not an evacuated one', () => {
    const manual = candidate(2, { config: { 'scheduler.instance': 'manual' }, online: false });

    expect(chosen([candidate(1), manual], { member: 'm2' })).toBe('m2');
    expect(chosen([candidate(1), candidate(2, { state: 'evacuated' })], { member: 'm2' })).toBeNull();
    expect(chosen([candidate(1)], { member: 'no' })).toBeNull();
  });

  it('leaves out whom the caller excludes, and members outside the groups of a restricted project', () => {
    expect(choosePlacement([candidate(1), candidate(2)], { ...anywhere, excluded: new Map([[1, 'is being evacuated']]) })).toMatchObject({
      member: { name: 'm2' }, reasons: [{ member: 'm1', reason: 'is being evacuated' }],
    });
    expect(chosen([candidate(1), candidate(2, { groups: ['web'], instances: 9 })], { allowedGroups: ['web'] })).toBe('m2');
  });

  it('knows what else a kernel runs', () => {
    expect(chosen([candidate(1)], { architectures: ['i686'] })).toBe('m1');
    expect(chosen([candidate(1)], { architectures: ['riscv64', 'x86_64'] })).toBe('m1');
    expect(chosen([candidate(1, { architecture: 'i686' })], { architectures: ['x86_64'] })).toBeNull();
  });
});
