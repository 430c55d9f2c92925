/** A member's part in the log, as `nodes.voter` has it. */
export type VoterPart = '' | 'learner' | 'voter' | 'standby';

/** What a choice needs to know of a member. */
export interface MemberView {
  readonly id: number;
  /** Votes and holds no rows: never the only voter, nor one that leads. */
  readonly witness: boolean;
  readonly online: boolean;
  readonly failureDomain: string;
  readonly part: VoterPart;
  readonly evacuated: boolean;
  /** Is being removed from the cluster, or may not vote for another reason that does not pass by itself. */
  readonly leaving: boolean;
  /** Failed to start a voter a short while ago. */
  readonly failing: boolean;
}

/** A member of etcd. */
export interface VoterView {
  readonly etcdId: string;
  /** Whose it is; null when no member of the cluster is known to it. */
  readonly memberId: number | null;
  readonly learner: boolean;
  /** Learner: it answers. */
  readonly answers: boolean;
  /** Learner: how long it has been one, as far as is known. */
  readonly ageMs: number;
}

export interface VotersView {
  readonly members: readonly MemberView[];
  readonly voters: readonly VoterView[];
  /** Member whose etcd leads. */
  readonly leaderId: number | null;
  readonly maxVoters: number;
  readonly maxStandby: number;
}

export type VoterStep =
  | { readonly kind: 'add'; readonly memberId: number }
  | { readonly kind: 'promote'; readonly etcdId: string; readonly memberId: number }
  | { readonly kind: 'remove'; readonly etcdId: string; readonly memberId: number | null; readonly why: string }
  | { readonly kind: 'hand-over'; readonly to: number }
  | { readonly kind: 'wait' };

/** A learner that does not answer by then is removed again (hazards A5). */
export const learnerStartMs = 30_000;
/** One that answers and still cannot be promoted by then, neither. */
export const learnerCatchUpMs = 120_000;

/**
 * The one next change to the voters, null when they are as they should be. Never two at once: each rests on the one before having taken effect (hazards A5).
 *
 * There should be as many as allowed and online, an odd number. One that is offline or leaves is replaced where another can take its place: the newcomer
 * learns first, then the old one goes, then the newcomer votes, so that the number is even for that moment only. Where none can take its
 * place, an offline voter stays, unless fewer voters would bear more failures. When there are as many as there should be, one of a crowded failure domain is
 * replaced by a member of a domain with at least two voters fewer.
 *
 * Members come before witnesses. One witness votes where it makes an even number of members odd, and gives way to a member.
 */
export function nextVoterStep(view: VotersView): VoterStep | null {
  const learner = view.voters.find((voter) => voter.learner);
  const voters = view.voters.filter((voter) => !voter.learner);
  const memberOf = (voter: VoterView): MemberView | undefined => view.members.find((member) => member.id === voter.memberId);
  const going = voters.filter((voter) => memberOf(voter)?.leaving !== false);
  const staying = voters.filter((voter) => !going.includes(voter));
  const dead = staying.filter((voter) => !memberOf(voter)!.online);
  const alive = staying.filter((voter) => !dead.includes(voter));
  const aliveMembers = alive.filter((voter) => !memberOf(voter)!.witness);
  const aliveWitnesses = alive.filter((voter) => memberOf(voter)!.witness);
  const learnerMember = learner && memberOf(learner);
  const ranked = rank(view.members.filter((member) => mayVote(member) && !voters.some((voter) => voter.memberId === member.id)), alive.map((voter) => memberOf(voter)!));
  const candidates = ranked.filter(({ witness }) => !witness);
  const witnesses = ranked.filter(({ witness }) => witness);
  const wanted = wantedVoters(view.maxVoters, aliveMembers.length + candidates.length, aliveWitnesses.length + witnesses.length);
  const surplus = [...going, ...dead, ...aliveWitnesses.slice(wanted.witnesses)];
  const crowded = (candidate: MemberView | undefined): VoterView | undefined => crowdedBeside(candidate, aliveMembers, view.leaderId, memberOf);

  if (learner) {
    const needed = learnerMember?.witness === true ? wanted.witnesses > aliveWitnesses.length : wanted.members > aliveMembers.length || crowded(learnerMember) !== undefined;
    const why = refusalOfLearner(learner, learnerMember, needed);
    if (why !== null) return { kind: 'remove', etcdId: learner.etcdId, memberId: learner.memberId, why };
    if (!learner.answers) return { kind: 'wait' };
    // Replaced rather than added: first one out, as long as those left are a majority of their own and one of them may lead.
    const replaced = voters.length >= wanted.members + wanted.witnesses ? surplus[0] ?? crowded(learnerMember) : undefined;
    if (replaced && aliveMembers.length > 0 && alive.length >= majority(voters.length - 1)) return removal(replaced, view, aliveMembers, memberOf);
    return { kind: 'promote', etcdId: learner.etcdId, memberId: learner.memberId! };
  }
  if (wanted.members > aliveMembers.length) return { kind: 'add', memberId: candidates[0]!.id };
  if (wanted.witnesses > aliveWitnesses.length) return { kind: 'add', memberId: witnesses[0]!.id };
  if (going.length > 0) return removal(going[0]!, view, aliveMembers, memberOf);
  if (fits(staying.length, alive.length, wanted.members + wanted.witnesses, view.maxVoters)) return dead.length === 0 && crowded(candidates[0]) ? { kind: 'add', memberId: candidates[0]!.id } : null;
  const tooMany = dead[0] ?? leastUseful(alive, view.leaderId, memberOf);
  return tooMany === undefined ? null : removal(tooMany, view, aliveMembers, memberOf);
}

/** What every member's part should be, given who votes. Standbys are the members that would be asked next. */
export function partsOf(view: VotersView): Map<number, VoterPart> {
  const memberIn = (learner: boolean): Set<number | null> => new Set(view.voters.filter((voter) => voter.learner === learner).map((voter) => voter.memberId));
  const [voting, learning] = [memberIn(false), memberIn(true)];
  const voters = view.members.filter((member) => voting.has(member.id));
  const standby = new Set(rank(view.members.filter((member) => !member.witness && mayVote(member) && !voting.has(member.id) && !learning.has(member.id)), voters).slice(0, view.maxStandby).map((member) => member.id));
  return new Map(view.members.map((member) => [member.id, voting.has(member.id) ? 'voter' : learning.has(member.id) ? 'learner' : standby.has(member.id) ? 'standby' : '']));
}

/** Roles of a member as the API shows them. */
export function databaseRoles(part: VoterPart, leads: boolean): string[] {
  if (part === 'voter') return leads ? ['database-leader', 'database'] : ['database'];
  return part === 'standby' || part === 'learner' ? ['database-standby'] : [];
}

/** How many of each should vote, of those that may. Two members and a witness bear the loss of one; one member and a witness no more than the member alone. */
function wantedVoters(max: number, members: number, witnesses: number): { readonly members: number; readonly witnesses: number } {
  const total = largestOdd(Math.min(max, members + (members > 1 ? Math.min(1, witnesses) : 0)));
  return { members: Math.min(total, members), witnesses: total - Math.min(total, members) };
}

function mayVote(member: MemberView): boolean {
  return member.online && !member.leaving && !member.failing;
}

function refusalOfLearner(learner: VoterView, member: MemberView | undefined, needed: boolean): string | null {
  if (member === undefined || member.leaving) return 'its member is not part of the cluster any more';
  if (!needed) return 'it is not needed any more';
  if (!member.online && !learner.answers) return 'its member went offline';
  if (learner.ageMs > (learner.answers ? learnerCatchUpMs : learnerStartMs)) return learner.answers ? 'it does not catch up' : 'it did not start';
  return null;
}

/** Best first: a failure domain with fewer voters, a standby, one that was not evacuated, the older member. */
function rank(candidates: readonly MemberView[], voters: readonly MemberView[]): MemberView[] {
  const crowd = (member: MemberView): number => voters.filter((voter) => voter.failureDomain === member.failureDomain).length;
  const order = (member: MemberView): number[] => [crowd(member), Number(member.evacuated), Number(member.part !== 'learner'), Number(member.part !== 'standby'), member.id];
  return candidates.toSorted((a, b) => compare(order(a), order(b)));
}

/** Whether the voters may stay as they are, given that nobody can be added. */
function fits(total: number, alive: number, target: number, max: number): boolean {
  if (total % 2 === 0 || total > max) return total === 0;
  return alive - majority(total) >= target - majority(target);
}

/** The voter to do without: a witness, of the most crowded failure domain, evacuated, young; never the leader. */
function leastUseful(alive: readonly VoterView[], leaderId: number | null, memberOf: (voter: VoterView) => MemberView | undefined): VoterView | undefined {
  const members = alive.map((voter) => memberOf(voter)!);
  const crowd = (member: MemberView): number => members.filter((other) => other.failureDomain === member.failureDomain).length;
  const order = (member: MemberView): number[] => [-Number(member.witness), -crowd(member), -Number(member.evacuated), -member.id];
  const worst = members.filter((member) => member.id !== leaderId).toSorted((a, b) => compare(order(a), order(b)))[0];
  return alive.find((voter) => worst !== undefined && voter.memberId === worst.id);
}

/** The voter that would better be in the candidate's failure domain; never the leader, and nobody where it would only be moved about. */
function crowdedBeside(candidate: MemberView | undefined, alive: readonly VoterView[], leaderId: number | null, memberOf: (voter: VoterView) => MemberView | undefined): VoterView | undefined {
  if (candidate === undefined || candidate.evacuated) return undefined;
  const crowd = (domain: string): number => alive.filter((voter) => memberOf(voter)!.failureDomain === domain).length;
  const worst = leastUseful(alive, leaderId, memberOf);
  return worst !== undefined && crowd(memberOf(worst)!.failureDomain) - crowd(candidate.failureDomain) >= 2 ? worst : undefined;
}

/** A leader hands over before it goes, so that there is no election. The last member that votes stays. */
function removal(voter: VoterView, view: VotersView, aliveMembers: readonly VoterView[], memberOf: (voter: VoterView) => MemberView | undefined): VoterStep | null {
  const heirs = aliveMembers.filter((other) => other !== voter);
  if (heirs.length === 0) return null;
  if (voter.memberId !== null && voter.memberId === view.leaderId) return { kind: 'hand-over', to: heirs[0]!.memberId! };
  const member = memberOf(voter);
  const why = member === undefined ? 'its member is not part of the cluster any more' : member.leaving ? 'its member leaves' : member.online ? 'there is one too many' : 'its member is offline';
  return { kind: 'remove', etcdId: voter.etcdId, memberId: voter.memberId, why };
}

function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

function largestOdd(n: number): number {
  return n <= 0 ? 0 : n % 2 === 1 ? n : n - 1;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at === -1 ? 0 : a[at]! - b[at]!;
}
