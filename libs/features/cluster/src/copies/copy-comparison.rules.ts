import type { ContentSums } from '#platform/database';

/** A member's sums, null where it did not answer. */
export interface MemberSums {
  readonly memberId: number;
  readonly sums: ContentSums | null;
}

export interface CopyVerdict {
  /** Those that hold what most do. */
  readonly agreeing: readonly number[];
  /** Those that hold something else, and in which tables. */
  readonly diverged: readonly { readonly memberId: number; readonly tables: readonly string[] }[];
  /** No content is held by more than half: nobody can tell who is right, and nothing is replaced. */
  readonly undecided: boolean;
}

/**
 * Where no content is held by most, the log has the last word: members of one content whose rows are as its entries have written them, while all others'
 * contradict it, are right. `contradicting`: members whose rows do.
 */
export function judgedByLog(verdict: CopyVerdict, members: readonly MemberSums[], contradicting: ReadonlySet<number>): CopyVerdict {
  const answers = members.flatMap(({ memberId, sums }) => (sums === null ? [] : [{ memberId, sums }]));
  const groups = groupsOf(answers);
  const right = groups.filter((group) => group.every(({ memberId }) => !contradicting.has(memberId)));
  const wrong = groups.filter((group) => !right.includes(group));
  if (!verdict.undecided || right.length !== 1 || !wrong.flat().every(({ memberId }) => contradicting.has(memberId))) return verdict;
  return verdictFor(right[0]!, wrong.flat(), false);
}

/** Compares what members hold that stand at the same place of one history. Null when they do not, or fewer than two answered. */
export function compareCopies(members: readonly MemberSums[]): CopyVerdict | null {
  const answers = members.flatMap(({ memberId, sums }) => (sums === null ? [] : [{ memberId, sums }]));
  const places = new Set(answers.map(({ sums }) => `${sums.incarnation} ${sums.index}`));
  if (answers.length < 2 || places.size !== 1) return null;
  const [most, ...others] = groupsOf(answers);
  return verdictFor(most!, others.flat(), others.length > 0 && most!.length * 2 <= answers.length);
}

interface Answer {
  readonly memberId: number;
  readonly sums: ContentSums;
}

/** Those of one content together, most first. */
function groupsOf(answers: readonly Answer[]): Answer[][] {
  return Object.values(Object.groupBy(answers, ({ sums }) => JSON.stringify(Object.entries(sums.tables).toSorted())))
    .map((group) => group!).toSorted((a, b) => b.length - a.length || a[0]!.memberId - b[0]!.memberId);
}

function verdictFor(right: readonly Answer[], others: readonly Answer[], undecided: boolean): CopyVerdict {
  return { agreeing: right.map(({ memberId }) => memberId), undecided, diverged: others.map(({ memberId, sums }) => ({ memberId, tables: differing(right[0]!.sums, sums) })) };
}

function differing(a: ContentSums, b: ContentSums): string[] {
  return [...new Set([...Object.keys(a.tables), ...Object.keys(b.tables)])].filter((table) => a.tables[table] !== b.tables[table]).toSorted();
}
