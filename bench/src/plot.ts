import { drawPanel, PANEL_HEIGHT, PANEL_WIDTH } from "./plot-panel.ts";
import type { Look, Panel, Point, Range, Series } from "./plot-panel.ts";
import { machineText, type Report } from "./report.ts";
import type { Cell, Row, Table } from "./results.ts";
import { element, textElement } from "./svg.ts";

const HEAD_HEIGHT = 66;
const NOTHING = "There are no figures of the native rig that a plot is made of.";

/** Titles of tables that differ in x only, or in x and the payload's size. */
const LINK_TITLE = /^raw link at (?<x>[\d,]+) frames\/s$/;
const HUB_TITLE = /^hub, (?<bytes>\d+) bytes to (?<x>\d+) subscribers?$/;

/**
 * Told apart with any kind of colour blindness (after Okabe and Ito), and at least 3:1 against white. Peers and canfleet
 * have looks of their own, so that a peer that was not there changes nobody's colour.
 */
const PEER_LOOKS: readonly Look[] = [
  { colour: "#d55e00", corners: 4, turn: 0.125 },
  { colour: "#882255", corners: 3, turn: 0.5 },
  { colour: "#7f5f00", corners: 5, turn: 0 },
  { colour: "#4b0092", corners: 3, turn: 0.25 },
  { colour: "#8b3a1e", corners: 6, turn: 0.25 },
];
const OWN_LOOKS: readonly Look[] = [
  { colour: "#0072b2", corners: 24, turn: 0 },
  { colour: "#009e73", corners: 4, turn: 0 },
  { colour: "#c0609a", corners: 3, turn: 0 },
  { colour: "#444444", corners: 6, turn: 0 },
];
const OWN_NAME = /^(edge|canfleet|…)/;

/**
 * What the native rig measured, as SVG: a panel for each group of tables that the report has. It brings its white
 * background along, because a page that shows it as an image may be dark.
 */
export function plotSvg(report: Report): string {
  const tables = report.rigs.find(({ rig }) => rig === "shim")?.tables ?? [];
  const panels = [relayCpu(tables), latency(tables), hubMessages(tables)].filter(({ series }) => series.length > 0);
  const height = HEAD_HEIGHT + Math.max(panels.length * PANEL_HEIGHT, 30);
  const size = { width: PANEL_WIDTH, height, viewBox: `0 0 ${PANEL_WIDTH} ${height}` };
  const font = { "font-family": "Helvetica, Arial, sans-serif", "font-size": 13, fill: "#1f2328" };
  const svg = element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", ...size, role: "img", "aria-labelledby": "title desc", ...font },
    textElement("title", { id: "title" }, "canfleet measured against its peers"),
    textElement("desc", { id: "desc" }, panels.map(description).join(" ") || NOTHING),
    element("rect", { x: 0, y: 0, width: PANEL_WIDTH, height, fill: "#ffffff" }),
    ...machineText(report.machine).map((text, i) => textElement("text", { x: 16, y: 24 + 18 * i }, text)),
    ...(panels.length > 0 ? [] : [textElement("text", { x: 16, y: HEAD_HEIGHT + 10 }, NOTHING)]),
    ...panels.map((panel, i) => drawPanel(panel, HEAD_HEIGHT + i * PANEL_HEIGHT)),
  );
  return `${svg}\n`;
}

function description({ title, series }: Panel): string {
  return `${title}: ${series.map(({ name }) => name).join("; ")}.`;
}

function relayCpu(tables: readonly Table[]): Panel {
  return {
    title: "CPU of the relay per frame, µs, by rate",
    note: "Raw link. Median of the repeats; pale bars from the least to the most. Lower is better.",
    xTitle: "frames/s (logarithmic)",
    yTitle: "µs of CPU per frame (logarithmic)",
    isJoined: true,
    series: seriesOf(tables, LINK_TITLE, ({ relayUs }) => ({ y: rangeOf(relayUs) })),
  };
}

function latency(tables: readonly Table[]): Panel {
  return {
    title: "Latency bus → app, µs, p50 and p99 by rate",
    note: "Raw link. The mark is p50, the line's end p99; pale bars from the least to the most of the repeats. Lower is better.",
    xTitle: "frames/s (logarithmic)",
    yTitle: "µs (logarithmic)",
    isJoined: false,
    series: seriesOf(tables, LINK_TITLE, ({ p50, p99 }) => ({ y: rangeOf(p50), whisker: rangeOf(p99) })),
  };
}

function hubMessages(tables: readonly Table[]): Panel {
  return {
    title: "Messages/s into a broker, by subscribers",
    note: "One publisher. Median of the repeats; pale bars from the least to the most. Higher is better.",
    xTitle: "subscribers (logarithmic)",
    yTitle: "messages/s in (logarithmic)",
    isJoined: true,
    series: seriesOf(tables, HUB_TITLE, ({ messages }) => ({ y: rangeOf(messages) })),
  };
}

/** What a row says at its table's x. Without y there is no point. */
type Values = { y: Range | undefined; whisker?: Range | undefined };

/** The rows of one contender, and one size of payload, through all tables of such a title. */
function seriesOf(tables: readonly Table[], title: RegExp, valuesOf: (cells: Row["cells"]) => Values): Series[] {
  const found = tables.flatMap((table) => {
    const { x, bytes } = title.exec(table.title)?.groups ?? {};
    return x === undefined ? [] : [{ x: Number(x.replaceAll(",", "")), bytes, rows: table.rows }];
  });
  const contenders = [...new Set(found.flatMap(({ rows }) => rows.map(({ contender }) => contender)))];
  const sizes = [...new Set(found.map(({ bytes }) => bytes))];
  const all = contenders.flatMap((contender) =>
    sizes.map((size): Series => {
      const points = found.flatMap(({ x, bytes, rows }) => {
        const row = bytes === size ? rows.find((other) => other.contender === contender) : undefined;
        return row ? pointOf(x, valuesOf(row.cells)) : [];
      });
      points.sort((a, b) => a.x - b.x);
      return {
        name: nameOf(contender, size),
        look: lookOf(contender, contenders),
        isHollow: size !== sizes[0],
        points,
      };
    }),
  );
  return all.filter(({ points }) => points.length > 0);
}

function lookOf(contender: string, all: readonly string[]): Look {
  const isOwn = OWN_NAME.test(contender);
  const looks = isOwn ? OWN_LOOKS : PEER_LOOKS;
  const alike = all.filter((name) => OWN_NAME.test(name) === isOwn);
  return looks[alike.indexOf(contender) % looks.length]!;
}

function pointOf(x: number, { y, whisker }: Values): Point[] {
  return y ? [{ x, y, ...(whisker && { whisker }) }] : [];
}

/** "… acknowledging" stands below "canfleet hub" in the tables. */
function nameOf(contender: string, bytes: string | undefined): string {
  const name = contender.replace(/^… /, "canfleet hub, ");
  return bytes === undefined ? name : `${name}, ${Number(bytes).toLocaleString("en-US")} bytes`;
}

/** A cell that a logarithmic axis has a place for; JSON makes null of what is not a number. */
function rangeOf(cell: Cell | undefined): Range | undefined {
  if (!cell || !Number.isFinite(cell.median) || cell.median <= 0) return undefined;
  const { median, least, most } = cell;
  return { median, least: Number.isFinite(least) ? least : median, most: Number.isFinite(most) ? most : median };
}
