/** Sequence numbers `from` up to, not including, `to`. */
export type Range = readonly [from: number, to: number];

/**
 * A set of whole numbers, kept as ranges in order that do not touch.
 *
 * Numbers that come mostly in order cost nothing: adding to the last range is the common case.
 */
export class RangeSet {
  /** Lower ends at even places, upper ends at odd ones, ascending. */
  readonly #ends: number[] = [];

  constructor(ranges: Iterable<Range> = []) {
    for (const [from, to] of ranges) this.add(from, to);
  }

  get rangeCount(): number {
    return this.#ends.length / 2;
  }

  /** How many numbers are in the set. */
  get count(): number {
    let count = 0;
    for (let i = 0; i < this.#ends.length; i += 2) count += this.#ends[i + 1]! - this.#ends[i]!;
    return count;
  }

  /** Lowest number; undefined when empty. */
  get first(): number | undefined {
    return this.#ends[0];
  }

  /** One above the highest number; 0 when empty. */
  get end(): number {
    return this.#ends.at(-1) ?? 0;
  }

  *[Symbol.iterator](): Iterator<Range> {
    for (let i = 0; i < this.#ends.length; i += 2) yield [this.#ends[i]!, this.#ends[i + 1]!];
  }

  /** Place of the first end that is `value` or more (`above`: more than `value`). */
  #place(value: number, above: boolean): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const end = this.#ends[middle]!;
      if (above ? end > value : end >= value) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Adds `from` up to `to`; ranges that touch become one. @returns whether anything was new */
  add(from: number, to: number): boolean {
    if (to <= from || this.has(from, to)) return false;
    const first = this.#place(from, false);
    const last = this.#place(to, true);
    // An odd place lies inside a range or at its upper end: that range is joined and keeps its own end.
    const ends = [...(first % 2 === 0 ? [from] : []), ...(last % 2 === 0 ? [to] : [])];
    this.#ends.splice(first, last - first, ...ends);
    return true;
  }

  /** Takes `from` up to `to` out. */
  delete(from: number, to: number): void {
    if (to <= from) return;
    const first = this.#place(from, false);
    const last = this.#place(to, true);
    const ends = [...(first % 2 === 1 ? [from] : []), ...(last % 2 === 1 ? [to] : [])];
    this.#ends.splice(first, last - first, ...ends);
  }

  /** Whether all of `from` up to `to` is in the set; true for an empty range. */
  has(from: number, to: number): boolean {
    if (to <= from) return true;
    const place = this.#place(from, true);
    return place % 2 === 1 && this.#ends[place]! >= to;
  }

  /** What of `from` up to `to` is not in the set, in order. */
  missing(from: number, to: number): Range[] {
    const missing: Range[] = [];
    let at = from;
    for (let i = this.#place(from, true) & ~1; i < this.#ends.length && this.#ends[i]! < to; i += 2) {
      if (this.#ends[i]! > at) missing.push([at, this.#ends[i]!]);
      at = Math.max(at, this.#ends[i + 1]!);
    }
    if (at < to) missing.push([at, to]);
    return missing;
  }

  /** First number of `from` up to `to` that is not in the set; undefined when all are. */
  firstMissing(from: number, to: number): number | undefined {
    const place = this.#place(from, true);
    const at = place % 2 === 1 ? this.#ends[place]! : from;
    return at < to ? at : undefined;
  }

  /** The part of `from` up to `to` that is in the set, in order. */
  within(from: number, to: number): Range[] {
    const within: Range[] = [];
    for (let i = this.#place(from, true) & ~1; i < this.#ends.length && this.#ends[i]! < to; i += 2) {
      const piece: Range = [Math.max(from, this.#ends[i]!), Math.min(to, this.#ends[i + 1]!)];
      if (piece[0] < piece[1]) within.push(piece);
    }
    return within;
  }

  /** Keeps the `maxRanges` highest ranges and forgets the lower ones. */
  keepHighest(maxRanges: number): void {
    const excess = this.rangeCount - maxRanges;
    if (excess > 0) this.#ends.splice(0, excess * 2);
  }
}
