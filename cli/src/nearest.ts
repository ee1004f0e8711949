/** The candidate that is most like what was typed; undefined when none is near enough to be what was meant. */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  const prefixed = candidates.filter((candidate) => typed.length >= 2 && candidate.startsWith(typed));
  if (prefixed.length === 1) return prefixed[0];
  let best: string | undefined;
  // One slip in a short word, two in a longer one: more is another word.
  let bestDistance = typed.length <= 4 ? 1 : 2;
  for (const candidate of candidates) {
    const distance = editDistance(typed, candidate);
    if (distance > bestDistance || (distance === bestDistance && best !== undefined)) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours between two words. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, replaced);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
