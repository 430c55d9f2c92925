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

/** Compares what members hold that stand at the same place of one history. Null when they do not, or fewer than two answered. */
export function compareCopies(members: readonly MemberSums[]): CopyVerdict | null {
  const answers = members.flatMap(({ memberId, sums }) => (sums === null ? [] : [{ memberId, sums }]));
  const places = new Set(answers.map(({ sums }) => `${sums.incarnation} ${sums.index}`));
  if (answers.length < 2 || places.size !== 1) return null;
  const groups = Object.values(Object.groupBy(answers, ({ sums }) => JSON.stringify(Object.entries(sums.tables).toSorted())))
    .map((group) => group!).toSorted((a, b) => b.length - a.length || a[0]!.memberId - b[0]!.memberId);
  const [most, ...others] = groups;
  const undecided = others.length > 0 && most!.length * 2 <= answers.length;
  return {
    agreeing: most!.map(({ memberId }) => memberId), undecided,
    diverged: others.flat().map(({ memberId, sums }) => ({ memberId, tables: differing(most![0]!.sums, sums) })),
  };
}

function differing(a: ContentSums, b: ContentSums): string[] {
  return [...new Set([...Object.keys(a.tables), ...Object.keys(b.tables)])].filter((table) => a.tables[table] !== b.tables[table]).toSorted();
}
