import { median, spread } from "./statistics.ts";

/** What was measured, and which way is better. */
export interface Metric {
  title: string;
  better: "more" | "less";
  digits: number;
}

export const METRICS = {
  taken: { title: "frames/s", better: "more", digits: 0 },
  lossless: { title: "highest frames/s without loss", better: "more", digits: 0 },
  lostShare: { title: "lost %", better: "less", digits: 2 },
  relayUs: { title: "relay CPU s per 10⁶ frames", better: "less", digits: 1 },
  readerUs: { title: "reader CPU s per 10⁶ frames", better: "less", digits: 1 },
  appUs: { title: "app CPU s per 10⁶ frames", better: "less", digits: 1 },
  hubUs: { title: "hub CPU s per 10⁶ frames", better: "less", digits: 1 },
  offeredShare: { title: "offered %", better: "more", digits: 0 },
  heldShare: { title: "held back %", better: "less", digits: 1 },
  hubCpu: { title: "hub CPU %", better: "less", digits: 0 },
  p50: { title: "p50 µs", better: "less", digits: 0 },
  p99: { title: "p99 µs", better: "less", digits: 0 },
  p999: { title: "p99.9 µs", better: "less", digits: 0 },
  peakMb: { title: "peak RSS MB", better: "less", digits: 0 },
  messages: { title: "messages/s in", better: "more", digits: 0 },
  deliveries: { title: "deliveries/s", better: "more", digits: 0 },
  deliveryUs: { title: "broker CPU µs per delivery", better: "less", digits: 2 },
  lostFrames: { title: "frames lost", better: "less", digits: 0 },
  unacknowledged: { title: "not acknowledged", better: "less", digits: 0 },
  lostMessages: { title: "lost", better: "less", digits: 0 },
  bytesPerFrame: { title: "bytes per frame", better: "less", digits: 2 },
  startMs: { title: "start ms", better: "less", digits: 0 },
  idleUs: { title: "idle CPU ms per s", better: "less", digits: 2 },
  wakeUps: { title: "wake-ups per s", better: "less", digits: 0 },
  firstMb: { title: "RSS MB after a minute", better: "less", digits: 0 },
  rssMb: { title: "RSS MB", better: "less", digits: 0 },
} as const satisfies { [name: string]: Metric };

/** A share of nothing says nothing. */
const LOSSES: ReadonlySet<string> = new Set(["lostShare", "lostMessages", "lostFrames", "unacknowledged", "heldShare"]);

export type MetricName = keyof typeof METRICS;
export type Measures = { [name in MetricName]?: number };

/** One contender's figures in one repeat. */
export interface Sample {
  table: string;
  contender: string;
  repeat: number;
  measures: Measures;
}

/** A table of contenders under the same load; the first contender is the baseline. */
export interface Table {
  title: string;
  rows: Row[];
}

export interface Row {
  contender: string;
  cells: { [name in MetricName]?: Cell };
}

export interface Cell {
  median: number;
  least: number;
  most: number;
  /** Median over the repeats of this contender's figure divided by the baseline's of the same repeat; null: none. */
  ratio: number | null;
}

/** Makes tables out of samples, in the order in which they were first seen. */
export function tabulate(samples: readonly Sample[]): Table[] {
  const titles = [...new Set(samples.map(({ table }) => table))];
  return titles.map((title) => {
    const own = samples.filter(({ table }) => table === title);
    const contenders = [...new Set(own.map(({ contender }) => contender))];
    const rows = contenders.map((contender) => rowOf(contender, own, contenders[0]!));
    return { title, rows };
  });
}

function rowOf(contender: string, samples: readonly Sample[], baseline: string): Row {
  const mine = samples.filter((sample) => sample.contender === contender);
  const names = [...new Set(mine.flatMap(({ measures }) => Object.keys(measures)))] as MetricName[];
  const cells = names.map((name) => [name, cellOf(name, mine, samples, baseline)] as const);
  return { contender, cells: Object.fromEntries(cells) };
}

function cellOf(name: MetricName, mine: readonly Sample[], all: readonly Sample[], baseline: string): Cell {
  const values = mine.map(({ measures }) => measures[name]).filter((value) => value !== undefined);
  const ratios = mine.flatMap(({ repeat, measures }) => {
    const base = all.find((sample) => sample.contender === baseline && sample.repeat === repeat)?.measures[name];
    const own = measures[name];
    return base === undefined || own === undefined || base === 0 ? [] : [own / base];
  });
  const [least, most] = spread(values);
  const isLoss = LOSSES.has(name);
  return { median: median(values), least, most, ratio: isLoss || ratios.length === 0 ? null : median(ratios) };
}

/** The table in Markdown. */
export function toMarkdown(table: Table): string {
  const names = [...new Set(table.rows.flatMap(({ cells }) => Object.keys(cells)))] as MetricName[];
  const header = ["", ...names.map((name) => METRICS[name].title)];
  const lines = table.rows.map((row, i) => [
    row.contender,
    ...names.map((name) => cellText(METRICS[name], row.cells[name], i === 0)),
  ]);
  const all = [header, header.map((_, i) => (i === 0 ? "---" : "---:")), ...lines];
  return `**${table.title}**\n\n${all.map((line) => `| ${line.join(" | ")} |`).join("\n")}\n`;
}

function cellText(metric: Metric, cell: Cell | undefined, isBaseline: boolean): string {
  if (!cell || Number.isNaN(cell.median)) return "–";
  const text = number(cell.median, metric.digits);
  const range =
    cell.least === cell.most ? "" : ` (${number(cell.least, metric.digits)}–${number(cell.most, metric.digits)})`;
  const ratio = isBaseline || cell.ratio === null ? "" : ` **×${cell.ratio.toPrecision(cell.ratio < 10 ? 2 : 3)}**`;
  return text + range + ratio;
}

function number(value: number, digits: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}
