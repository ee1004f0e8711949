import { LogAxis, roundTicks } from "./log-axis.ts";
import { element, textElement, type Attributes } from "./svg.ts";

export interface Panel {
  title: string;
  /** How to read it. */
  note: string;
  xTitle: string;
  yTitle: string;
  /** Lines between a series' points; without, series stand side by side. */
  isJoined: boolean;
  series: Series[];
}

export interface Series {
  name: string;
  look: Look;
  /** Hollow marks and dashed lines tell two series of one look apart. */
  isHollow: boolean;
  points: Point[];
}

/** A colour, and a regular polygon as mark, turned by a part of a circle. */
export interface Look {
  colour: string;
  corners: number;
  turn: number;
}

/** Where the repeats lie; all finite, and the median positive. */
export interface Range {
  median: number;
  least: number;
  most: number;
}

export interface Point {
  x: number;
  y: Range;
  /** A line is drawn from y up to it. */
  whisker?: Range;
}

export const PANEL_WIDTH = 1060;
export const PANEL_HEIGHT = 380;

const PLOT = { left: 90, right: 650, top: 56, bottom: 316 };
/** From the frame to the outermost x, so that series beside each other stay inside. */
const MARGIN = 60;
const LEGEND = { left: 672, top: 70, line: 24 };
const RADIUS = 5;
const GREY = "#57606a";

interface Axes {
  x: LogAxis;
  y: LogAxis;
}

/** A drawing of PANEL_WIDTH × PANEL_HEIGHT with its upper edge at `top`. A panel has a point at least. */
export function drawPanel(panel: Panel, top: number): string {
  const points = panel.series.flatMap((series) => series.points);
  const ranges = points.flatMap(({ y, whisker }) => (whisker ? [y, whisker] : [y]));
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const axes: Axes = {
    x: new LogAxis(xs, PLOT.left + MARGIN, PLOT.right - MARGIN),
    y: new LogAxis(
      roundTicks(ranges.flatMap(({ median, least, most }) => [median, least, most])),
      top + PLOT.bottom,
      top + PLOT.top,
    ),
  };
  return element(
    "g",
    {},
    textElement("text", { x: 16, y: top + 20, "font-size": 16, "font-weight": "bold" }, panel.title),
    textElement("text", { x: 16, y: top + 40, fill: GREY }, panel.note),
    ...drawAxes(panel, axes, top),
    ...panel.series.map((series, i) => drawSeries(panel, series, i, axes)),
    ...panel.series.flatMap((series, i) => drawLegend(panel, series, LEGEND.top + top + i * legendLine(panel))),
  );
}

function legendLine({ series }: Panel): number {
  return Math.min(LEGEND.line, (PLOT.bottom - LEGEND.top) / series.length);
}

function drawAxes(panel: Panel, { x, y }: Axes, top: number): string[] {
  const { left, right, bottom } = PLOT;
  const middle = top + (PLOT.top + bottom) / 2;
  const across = y.ticks.flatMap((tick) => [
    line(left, y.at(tick), right, y.at(tick), { stroke: "#d8dee4" }),
    textElement("text", { x: left - 8, y: y.at(tick) + 4, "text-anchor": "end" }, tick.toLocaleString("en-US")),
  ]);
  const along = x.ticks.flatMap((tick) => [
    line(x.at(tick), top + bottom, x.at(tick), top + bottom + 5, { stroke: GREY }),
    textElement("text", { x: x.at(tick), y: top + bottom + 20, "text-anchor": "middle" }, tick.toLocaleString("en-US")),
  ]);
  return [
    ...across,
    line(left, top + bottom, right, top + bottom, { stroke: GREY }),
    ...along,
    textElement("text", { x: (left + right) / 2, y: top + bottom + 40, "text-anchor": "middle" }, panel.xTitle),
    textElement(
      "text",
      { x: 22, y: middle, "text-anchor": "middle", transform: `rotate(-90 22 ${middle})` },
      panel.yTitle,
    ),
  ];
}

/** Series are set off from each other, or their bars would hide one another. */
function drawSeries(panel: Panel, { points, look, isHollow }: Series, index: number, { x, y }: Axes): string {
  const count = panel.series.length;
  const step = Math.min(panel.isJoined ? 8 : 18, (1.6 * MARGIN) / count);
  const places = points.map((point) => ({ ...point, left: x.at(point.x) + (index - (count - 1) / 2) * step }));
  const { colour } = look;
  const bars = places.flatMap(({ left, y: low, whisker }) =>
    [low, ...(whisker ? [whisker] : [])].map(({ least, most }) =>
      line(left, y.at(least), left, y.at(most), { stroke: colour, "stroke-width": 5, "stroke-opacity": 0.3 }),
    ),
  );
  const whiskers = places.flatMap(({ left, y: { median }, whisker }) => {
    if (!whisker) return [];
    const end = y.at(whisker.median);
    return [line(left, y.at(median), left, end, stroke(colour)), line(left - 5, end, left + 5, end, stroke(colour))];
  });
  const path = places.map((place) => `${place.left.toFixed(1)},${y.at(place.y.median).toFixed(1)}`).join(" ");
  const joint = element("polyline", { points: path, fill: "none", ...stroke(colour, isHollow) });
  const marks = places.map((place) => mark(place.left, y.at(place.y.median), look, isHollow));
  return element("g", {}, ...bars, ...whiskers, ...(panel.isJoined ? [joint] : []), ...marks);
}

function drawLegend(panel: Panel, { name, look, isHollow }: Series, top: number): string[] {
  const { left } = LEGEND;
  const sample = line(left, top, left + 26, top, stroke(look.colour, isHollow));
  return [
    ...(panel.isJoined ? [sample] : []),
    mark(left + 13, top, look, isHollow),
    textElement("text", { x: left + 34, y: top + 4 }, name),
  ];
}

function mark(x: number, y: number, { colour, corners, turn }: Look, isHollow: boolean): string {
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = 2 * Math.PI * (i / corners + turn);
    return `${(x + RADIUS * Math.sin(angle)).toFixed(1)},${(y - RADIUS * Math.cos(angle)).toFixed(1)}`;
  });
  return element("polygon", { points: points.join(" "), fill: isHollow ? "#ffffff" : colour, ...stroke(colour) });
}

function line(x1: number, y1: number, x2: number, y2: number, style: Attributes): string {
  return element("line", { x1, y1, x2, y2, ...style });
}

function stroke(colour: string, isDashed = false): Attributes {
  return { stroke: colour, "stroke-width": 2, ...(isDashed && { "stroke-dasharray": "6 4" }) };
}
