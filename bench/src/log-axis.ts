/** A logarithmic axis: which values have a tick, and where a value is. */
export class LogAxis {
  /** First and last are the ends of the axis. */
  readonly ticks: readonly number[];
  readonly #start: number;
  readonly #end: number;

  /** `start` is where the first tick is drawn and `end` where the last is. */
  constructor(ticks: readonly number[], start: number, end: number) {
    this.ticks = ticks;
    this.#start = start;
    this.#end = end;
  }

  /** Values outside are put at the ends: zero has no place on such an axis. An axis of one tick has it in the middle. */
  at(value: number): number {
    const [low, high] = [this.ticks[0]!, this.ticks.at(-1)!];
    const share = low === high ? 0.5 : Math.log(Math.max(value, low) / low) / Math.log(high / low);
    return this.#start + Math.min(share, 1) * (this.#end - this.#start);
  }
}

/** Round numbers (1, 2, 5, 10 …; powers of ten alone over a long way) that enclose the positive ones among the values. */
export function roundTicks(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const [least, most] = [Math.min(...positive), Math.max(...positive)];
  const steps = most / least > 200 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.floor(Math.log10(most)) + 1; power++) {
    ticks.push(...steps.map((step) => Number(`${step}e${power}`)));
  }
  const from = Math.max(
    0,
    ticks.findLastIndex((tick) => tick <= least),
  );
  const to = ticks.findIndex((tick) => tick >= most);
  return ticks.slice(from, Math.max(to, from + 1) + 1);
}
