/** A member as placement sees it. */
export interface PlacementCandidate {
  readonly id: number;
  readonly name: string;
  /** `x86_64` */
  readonly architecture: string;
  readonly state: 'created' | 'pending' | 'evacuated';
  /** Names of the groups it is in. */
  readonly groups: readonly string[];
  readonly config: Readonly<Record<string, string>>;
  /** Instances it has, those being made or moved there included. */
  readonly instances: number;
  /** Seen within the offline threshold. */
  readonly online: boolean;
}

export interface PlacementRequest {
  /** A member's name; null where none is named. */
  readonly member: string | null;
  /** A group's name; null for any. */
  readonly group: string | null;
  /** Any of these will do; empty where it does not matter. */
  readonly architectures: readonly string[];
  /** Members that are out of the question, as the one that is evacuated, with the reason. */
  readonly excluded?: ReadonlyMap<number, string>;
  /** Groups the project is limited to; null for no limit. */
  readonly allowedGroups?: readonly string[] | null;
}

export interface PlacementLoss {
  readonly member: string;
  readonly reason: string;
}

export interface Placement {
  /** Null when nobody will do. */
  readonly member: PlacementCandidate | null;
  /** Why it was not one of the others, in the order of candidates. */
  readonly reasons: readonly PlacementLoss[];
}

/** What else a kernel runs. */
const personalities: Readonly<Record<string, readonly string[]>> = {
  x86_64: ['i686'], aarch64: ['armv6l', 'armv7l', 'armv8l'], ppc64: ['powerpc'], s390x: [], mips64: ['mips'],
};

/**
 * Which member gets an instance, and why none of the others. A member that is named is taken whatever its scheduling says, as long as it is not
 * evacuated; whether it can be reached shows when it is asked. Otherwise the one with the fewest instances of those that are online, neither
 * evacuated nor set aside by `scheduler.instance`, in the group asked for and of a fitting architecture; of equals the one that joined first.
 */
export function choosePlacement(candidates: readonly PlacementCandidate[], request: PlacementRequest): Placement {
  const reasons = new Map<number, string>();
  const fit = candidates.filter((candidate) => {
    const reason = request.member === null ? unfit(candidate, request) : unfitByName(candidate, request.member);
    if (reason !== null) reasons.set(candidate.id, reason);
    return reason === null;
  });
  const member = fit.toSorted((a, b) => a.instances - b.instances || a.id - b.id)[0] ?? null;
  for (const candidate of fit) {
    if (candidate !== member) reasons.set(candidate.id, `has ${candidate.instances} instances, ${member!.name} has ${member!.instances}`);
  }
  return {
    member,
    reasons: candidates.filter(({ id }) => reasons.has(id)).map(({ id, name }) => ({ member: name, reason: reasons.get(id)! })),
  };
}

/** Whether a kernel of one architecture runs programs of another. */
export function runsArchitecture(kernel: string, wanted: string): boolean {
  return kernel === wanted || (personalities[kernel]?.includes(wanted) ?? false);
}

function unfitByName(candidate: PlacementCandidate, name: string): string | null {
  if (candidate.name !== name) return 'is not the one asked for';
  return stateReason(candidate);
}

function unfit(candidate: PlacementCandidate, request: PlacementRequest): string | null {
  const { group, architectures, allowedGroups } = request;
  const excluded = request.excluded?.get(candidate.id);
  if (excluded !== undefined) return excluded;
  const state = stateReason(candidate);
  if (state !== null) return state;
  if (!candidate.online) return 'is offline';
  const scheduler = candidate.config['scheduler.instance'] || 'all';
  if (scheduler === 'manual') return 'takes only instances that name it (scheduler.instance is manual)';
  if (scheduler === 'group' && group === null) return 'takes only instances that name one of its groups (scheduler.instance is group)';
  if (group !== null && !candidate.groups.includes(group)) return `is not in the group ${group}`;
  if (allowedGroups && !candidate.groups.some((name) => allowedGroups.includes(name))) return 'is in none of the groups the project may use';
  if (architectures.length > 0 && !architectures.some((wanted) => runsArchitecture(candidate.architecture, wanted))) {
    return `has the architecture ${candidate.architecture}`;
  }
  return null;
}

function stateReason({ state }: PlacementCandidate): string | null {
  if (state === 'evacuated') return 'is evacuated';
  return state === 'pending' ? 'has not joined yet' : null;
}
