interface SentPieces {
  /** All snapshots of the volume, oldest first. */
  readonly history: readonly string[];
  /** Those the other side has. */
  readonly bases: readonly string[];
  /** Those that are sent, in the order of `history`. */
  readonly snapshots: readonly string[];
  /** The snapshot sent as the volume's content; empty for the present one. */
  readonly sourceSnapshot: string;
}

/**
 * The snapshot each piece is sent as the difference to, by the piece's name, empty for the volume: the next older one the other side has by then, or the oldest it
 * has. Empty where it has none.
 */
export function parentsOf({ history, bases, snapshots, sourceSnapshot }: SentPieces): Record<string, string> {
  if (bases.length === 0) return {};
  const there = history.filter((name) => bases.includes(name) || snapshots.includes(name));
  const oldest = there.find((name) => bases.includes(name)) ?? bases[0]!;
  const before = (name: string): string => there[there.indexOf(name) - 1] ?? oldest;
  const parents = Object.fromEntries(snapshots.map((name) => [name, before(name)]));
  if (sourceSnapshot === '') return { ...parents, '': there.at(-1) ?? oldest };
  if (there.includes(sourceSnapshot)) return { ...parents, '': sourceSnapshot };
  const older = history.slice(0, history.indexOf(sourceSnapshot));
  return { ...parents, '': there.findLast((name) => older.includes(name)) ?? oldest };
}
