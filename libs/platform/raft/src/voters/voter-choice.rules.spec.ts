import { describe, expect, it } from 'vitest';
import { databaseRoles, learnerCatchUpMs, learnerStartMs, nextVoterStep, partsOf, type MemberView, type VotersView, type VoterView } from './voter-choice.rules.js';

const member = (id: number, extra: Partial<MemberView> = {}): MemberView => ({ id, witness: false, online: true, failureDomain: 'default', part: '', evacuated: false, leaving: false, failing: false, ...extra });
const voter = (memberId: number | null, extra: Partial<VoterView> = {}): VoterView => ({ etcdId: `e${memberId}`, memberId, learner: false, answers: true, ageMs: 0, ...extra });
const learner = (memberId: number, extra: Partial<VoterView> = {}): VoterView => voter(memberId, { learner: true, ...extra });

function view(members: readonly MemberView[], voters: readonly VoterView[], extra: Partial<VotersView> = {}): VotersView {
  return { members, voters, leaderId: 1, maxVoters: 3, maxStandby: 2, ...extra };
}
const members = (count: number, changed: Record<number, Partial<MemberView>> = {}): MemberView[] => Array.from({ length: count }, (_, i) => member(i + 1, changed[i + 1]));
const voters = (...ids: number[]): VoterView[] => ids.map((id) => voter(id));

/** Carries steps out in memory until there is none, noting each. */
function settle(start: VotersView): { steps: string[]; voting: (number | null)[]; counts: number[] } {
  let now = start;
  const steps: string[] = [];
  const counts: number[] = [];
  for (let i = 0; i < 30; i++) {
    const step = nextVoterStep(now);
    if (step === null) return { steps, counts, voting: now.voters.filter((v) => !v.learner).map((v) => v.memberId) };
    steps.push(step.kind === 'add' || step.kind === 'promote' || step.kind === 'remove' ? `${step.kind} ${step.memberId}` : step.kind === 'hand-over' ? `hand-over ${step.to}` : 'wait');
    if (step.kind === 'add') now = { ...now, voters: [...now.voters, learner(step.memberId)] };
    else if (step.kind === 'promote') now = { ...now, voters: now.voters.map((v) => (v.etcdId === step.etcdId ? { ...v, learner: false } : v)) };
    else if (step.kind === 'remove') now = { ...now, voters: now.voters.filter((v) => v.etcdId !== step.etcdId) };
    else if (step.kind === 'hand-over') now = { ...now, leaderId: step.to };
    counts.push(now.voters.filter((v) => !v.learner).length);
  }
  throw new Error(`does not settle: ${steps.join(', ')}`);
}

describe('how many vote', () => {
  it('is one of one and of two members, three of three and of four', () => {
    expect([1, 2, 3, 4, 5].map((count) => settle(view(members(count), voters(1))).voting.length)).toEqual([1, 1, 3, 3, 3]);
  });

  it('is as many as allowed, odd, where it is set higher', () => {
    expect([4, 5, 7].map((count) => settle(view(members(count), voters(1), { maxVoters: 5 })).voting.length)).toEqual([3, 5, 5]);
  });

  it('shrinks by two when a member leaves and nobody takes its place', () => {
    expect(settle(view(members(3, { 3: { leaving: true } }), voters(1, 2, 3)))).toMatchObject({ steps: ['remove 3', 'remove 2'], voting: [1] });
  });

  it('shrinks when fewer are allowed', () => {
    expect(settle(view(members(5), voters(1, 2, 3, 4, 5), { maxVoters: 3 })).voting).toEqual([1, 2, 3]);
  });
});

describe('growing', () => {
  it('adds learners one at a time and promotes each before the next', () => {
    expect(settle(view(members(3), voters(1))).steps).toEqual(['add 2', 'promote 2', 'add 3', 'promote 3']);
  });

  it('never leaves an even number for longer than the next promotion', () => {
    // The second newcomer fails: back to one voter instead of two, which would bear less.
    expect(nextVoterStep(view(members(3, { 3: { failing: true } }), voters(1, 2)))).toMatchObject({ kind: 'remove', memberId: 2, why: 'there is one too many' });
    expect(nextVoterStep(view(members(3), voters(1, 2)))).toEqual({ kind: 'add', memberId: 3 });
  });

  it('waits for a learner that does not answer, and removes it after half a minute', () => {
    const started = (ageMs: number) => nextVoterStep(view(members(3), [voter(1), learner(2, { answers: false, ageMs })]));

    expect(started(learnerStartMs)).toEqual({ kind: 'wait' });
    expect(started(learnerStartMs + 1)).toMatchObject({ kind: 'remove', memberId: 2, why: 'it did not start' });
    expect(nextVoterStep(view(members(3), [voter(1), learner(2, { ageMs: learnerCatchUpMs + 1 })]))).toMatchObject({ kind: 'remove', why: 'it does not catch up' });
  });

  it('does not add a second learner beside one', () => {
    expect(nextVoterStep(view(members(5), [voter(1), learner(2, { answers: false })]))).toEqual({ kind: 'wait' });
  });

  it('gives a learner up whose member left, went offline or is not needed any more', () => {
    const why = (changed: Record<number, Partial<MemberView>>, count = 3) => nextVoterStep(view(members(count, changed), [voter(1), learner(2, { answers: false })]));

    expect(why({ 2: { leaving: true } })).toMatchObject({ kind: 'remove', memberId: 2 });
    expect(why({ 2: { online: false } })).toMatchObject({ kind: 'remove', memberId: 2 });
    expect(why({}, 2)).toMatchObject({ kind: 'remove', memberId: 2, why: 'it is not needed any more' });
  });

  it('asks others first when one failed to start', () => {
    expect(nextVoterStep(view(members(4, { 2: { failing: true } }), voters(1)))).toEqual({ kind: 'add', memberId: 3 });
  });
});

describe('replacing', () => {
  it('lets the newcomer learn, then takes the offline one out, then promotes', () => {
    const settled = settle(view(members(4, { 3: { online: false } }), voters(1, 2, 3)));

    expect(settled).toMatchObject({ steps: ['add 4', 'remove 3', 'promote 4'], voting: [1, 2, 4] });
    expect(settled.counts).toEqual([3, 2, 3]);
  });

  it('keeps an offline voter when nobody can take its place and fewer would bear no more', () => {
    expect(nextVoterStep(view(members(3, { 3: { online: false } }), voters(1, 2, 3)))).toBeNull();
    expect(nextVoterStep(view(members(5, { 5: { online: false } }), voters(1, 2, 3, 4, 5), { maxVoters: 5 }))).toBeNull();
  });

  it('does with fewer where that bears one failure more', () => {
    const settled = settle(view(members(5, { 4: { online: false }, 5: { online: false } }), voters(1, 2, 3, 4, 5), { maxVoters: 5 }));

    expect(settled.voting).toEqual([1, 2, 3]);
  });

  it('hands over before a leader goes', () => {
    expect(settle(view(members(4, { 1: { leaving: true } }), voters(1, 2, 3))).steps).toEqual(['add 4', 'hand-over 2', 'remove 1', 'promote 4']);
  });

  it('promotes the newcomer first where the one that leaves is the only voter', () => {
    expect(settle(view(members(2, { 1: { leaving: true } }), voters(1)))).toMatchObject({ steps: ['add 2', 'promote 2', 'hand-over 2', 'remove 1'], voting: [2] });
  });

  it('never removes the last voter', () => {
    expect(nextVoterStep(view(members(1, { 1: { leaving: true } }), voters(1)))).toBeNull();
  });

  it('removes what belongs to no member, learner or voter', () => {
    expect(nextVoterStep(view(members(1), [voter(1), voter(null)]))).toMatchObject({ kind: 'remove', etcdId: 'enull' });
    expect(nextVoterStep(view(members(1), [voter(1), voter(9, { learner: true })]))).toMatchObject({ kind: 'remove', etcdId: 'e9' });
  });
});

describe('who is asked', () => {
  it('is first a member of a failure domain without a voter', () => {
    const named = members(5, { 1: { failureDomain: 'a' }, 2: { failureDomain: 'a' }, 3: { failureDomain: 'a' }, 4: { failureDomain: 'b' }, 5: { failureDomain: 'c' } });

    expect(settle(view(named, voters(1))).voting).toEqual([1, 4, 5]);
  });

  it('is a standby before others, an evacuated member last', () => {
    expect(settle(view(members(4, { 4: { part: 'standby' }, 2: { evacuated: true } }), voters(1))).voting).toEqual([1, 4, 3]);
  });

  it('is nobody who is offline', () => {
    expect(settle(view(members(4, { 2: { online: false } }), voters(1))).voting).toEqual([1, 3, 4]);
  });

  it('keeps voters of different failure domains when there is one too many', () => {
    const named = members(4, { 2: { failureDomain: 'a' }, 4: { failureDomain: 'b' } });

    expect(settle(view(named, voters(1, 2, 3, 4))).voting).toEqual([1, 2, 4]);
  });
});

describe('a witness', () => {
  const witness = (id: number, extra: Partial<MemberView> = {}): MemberView => member(id, { witness: true, failureDomain: '', ...extra });
  const steps = (seen: readonly MemberView[], voting: readonly VoterView[], extra: Partial<VotersView> = {}) => settle(view(seen, voting, extra)).steps;

  it('makes two members bear the loss of one', () => {
    const settled = settle(view([...members(2), witness(3)], voters(1)));

    expect(settled.steps).toEqual(['add 2', 'promote 2', 'add 3', 'promote 3']);
  });

  it('is no use to a member alone, and alone is not used for what one can do', () => {
    expect(steps([member(1), witness(2)], voters(1))).toEqual([]);
    expect(steps([member(1), witness(2), witness(3)], voters(1))).toEqual([]);
    expect(steps([...members(2), witness(3), witness(4)], voters(1), { maxVoters: 5 })).toEqual(['add 2', 'promote 2', 'add 3', 'promote 3']);
  });

  it('gives way to a member, and stands in for one that is away', () => {
    expect(settle(view([...members(3), witness(4)], voters(1, 2, 4)))).toMatchObject({ steps: ['add 3', 'remove 4', 'promote 3'], counts: [3, 2, 3] });
    expect(settle(view([...members(3, { 3: { online: false } }), witness(4)], voters(1, 2, 3)))).toMatchObject({ steps: ['add 4', 'remove 3', 'promote 4'], voting: [1, 2, 4] });
    expect(steps([...members(4), witness(5)], voters(1, 2, 3))).toEqual([]);
    expect(steps([...members(4), witness(5)], voters(1, 2, 3), { maxVoters: 5 })).toEqual(['add 4', 'promote 4', 'add 5', 'promote 5']);
  });

  it('is replaced by another when it is away, and kept where there is none', () => {
    const away = { online: false };

    expect(steps([...members(2), witness(3, away), witness(4)], voters(1, 2, 3))).toEqual(['add 4', 'remove 3', 'promote 4']);
    expect(steps([...members(2), witness(3, away)], voters(1, 2, 3))).toEqual([]);
    expect(steps([...members(2, { 2: away }), witness(3)], voters(1, 2, 3))).toEqual([]);
  });

  it('goes with the second member, and never takes the part of the last', () => {
    expect(steps([...members(2, { 2: { leaving: true } }), witness(3)], voters(1, 2, 3))).toEqual(['remove 2', 'remove 3']);
    expect(steps([...members(2), witness(3, { leaving: true })], voters(1, 2, 3))).toEqual(['remove 3', 'remove 2']);
    // The member that leads leaves, and the other has no voter yet.
    expect(settle(view([...members(2, { 1: { leaving: true } }), witness(3)], voters(1, 3)))).toMatchObject({ steps: ['add 2', 'promote 2', 'hand-over 2', 'remove 1', 'remove 3'], voting: [2] });
  });

  it('leaves crowded failure domains to members', () => {
    const placed = [member(1, { failureDomain: 'a' }), member(2, { failureDomain: 'a' }), member(3, { failureDomain: 'a' }), member(4, { failureDomain: 'b' }), witness(5)];

    expect(steps(placed, voters(1, 2, 3))).toEqual(['add 4', 'remove 3', 'promote 4']);
  });

  it('stands by for nothing that members are shown to', () => {
    expect([...partsOf(view([...members(2), witness(3)], voters(1, 2)))]).toEqual([[1, 'voter'], [2, 'voter'], [3, '']]);
  });
});

describe('failure domains that are set later', () => {
  const placed = (domains: string, changed: Record<number, Partial<MemberView>> = {}) =>
    members(domains.length, Object.fromEntries([...domains].map((failureDomain, at) => [at + 1, { failureDomain, ...changed[at + 1] }])));

  it('move a voter out of a crowded one, the newcomer learning first', () => {
    const settled = settle(view(placed('aaab'), voters(1, 2, 3)));

    expect(settled).toMatchObject({ steps: ['add 4', 'remove 3', 'promote 4'], voting: [1, 2, 4] });
    expect(settled.counts).toEqual([3, 2, 3]);
  });

  it('spread the voters as far as they go, and then leave them alone', () => {
    expect(settle(view(placed('aaabc'), voters(1, 2, 3))).voting.toSorted()).toEqual([1, 4, 5]);
    expect(settle(view(placed('aabcc'), voters(1, 2, 3))).voting).toHaveLength(3);
    for (const domains of ['aab', 'aabb', 'abcabc']) expect(settle(view(placed(domains), voters(1, 2, 3))).steps).toEqual([]);
  });

  it('move nobody to an evacuated member, nor while a voter is away', () => {
    expect(settle(view(placed('aaab', { 4: { evacuated: true } }), voters(1, 2, 3))).steps).toEqual([]);
    expect(settle(view(placed('aaab', { 3: { online: false } }), voters(1, 2, 3))).steps).toEqual(['add 4', 'remove 3', 'promote 4']);
  });

  it('leave the leader where it is', () => {
    expect(settle(view(placed('aaab'), voters(1, 2, 3), { leaderId: 3 })).voting).toEqual([1, 3, 4]);
  });
});

describe('the parts members have', () => {
  it('make those next in line standbys, as many as allowed', () => {
    const parts = partsOf(view(members(7, { 5: { online: false } }), [...voters(1, 2), learner(3)]));

    expect([...parts]).toEqual([[1, 'voter'], [2, 'voter'], [3, 'learner'], [4, 'standby'], [5, ''], [6, 'standby'], [7, '']]);
  });

  it('show as LXD shows them', () => {
    expect([databaseRoles('voter', true), databaseRoles('voter', false), databaseRoles('standby', false), databaseRoles('', false)]).toEqual([['database-leader', 'database'], ['database'], ['database-standby'], []]);
  });
});
