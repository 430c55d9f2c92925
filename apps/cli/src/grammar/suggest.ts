/** How many letters must be put in, taken out or exchanged to make `a` of `b`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]!;
}

/** Which of the names somebody may have meant: those at most two letters away, and those that begin so. */
export function suggestions(typed: string, names: readonly string[]): string[] {
  const wanted = typed.toLowerCase();
  return names.filter((name) => distance(wanted, name.toLowerCase()) <= 2 || name.toLowerCase().startsWith(wanted));
}
