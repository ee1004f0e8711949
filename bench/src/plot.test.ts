import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { plotSvg } from "./plot.ts";
import type { Report } from "./report.ts";
import type { Cell, Row, Table } from "./results.ts";

const CPU = "CPU of the relay per frame, µs, by rate";
const LATENCY = "Latency bus → app, µs, p50 and p99 by rate";
const HUB = "Messages/s into a broker, by subscribers";

const cell = (median: number, least = median, most = median): Cell => ({ median, least, most, ratio: null });

const LINK_TABLES: Table[] = [20_000, 8000, 1000].map((rate, i) => ({
  title: `raw link at ${rate.toLocaleString("en-US")} frames/s`,
  rows: ["seed client → TCPBus", "edge, at once → TCPBus"].map((contender, j) => ({
    contender,
    cells: { relayUs: cell(5 + 10 * i + j, 4, 60), p50: cell(40 + i + j, 1, 90), p99: cell(900, 600, 122_825) },
  })),
}));

const HUB_TABLES: Table[] = [160, 1600].flatMap((bytes) =>
  [1, 10, 50].map((subscribers) => ({
    title: `hub, ${bytes} bytes to ${subscribers} subscriber${subscribers > 1 ? "s" : ""}`,
    rows: ["Mosquitto", "canfleet hub", "… acknowledging"].map((contender, i) => ({
      contender,
      cells: { messages: cell((100_000 * (1 + i)) / subscribers) },
    })),
  })),
);

function reportOf(tables: Table[], rig: "shim" | "vcan" = "shim"): Report {
  const machine = {
    cpu: "A & B <C>",
    cores: 2,
    memoryGb: 4,
    kernel: "6",
    node: "v20",
    load: 1,
    date: "2026-01-01 00:00",
  };
  return {
    machine: { ...machine, commit: "abc", isModified: false },
    remarks: [],
    rigs: [{ rig, repeats: 3, tables, failures: [] }],
  };
}

function linkTable(...rows: Row[]): Table {
  return { title: "raw link at 8,000 frames/s", rows };
}

/** Every coordinate of the drawing; x and y alternate. */
function coordinatesOf(svg: string): { x: number[]; y: number[] } {
  const [x, y]: [number[], number[]] = [[], []];
  for (const [, axis, value] of svg.matchAll(/ ([xy])[12]?="([^"]*)"/g)) (axis === "x" ? x : y).push(Number(value));
  for (const [, points] of svg.matchAll(/ points="([^"]*)"/g)) {
    points!.split(/[ ,]/).forEach((value, i) => (i % 2 === 0 ? x : y).push(Number(value)));
  }
  return { x, y };
}

function assertInside(svg: string): void {
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!;
  const { x, y } = coordinatesOf(svg);
  for (const [values, end] of [
    [x, Number(width)],
    [y, Number(height)],
  ] as const) {
    assert.ok(values.length > 0);
    assert.deepEqual(
      values.filter((value) => !(value >= 0 && value <= end)),
      [],
    );
  }
}

/** Tags are closed in the order in which they were opened. */
function assertNested(svg: string): void {
  const open: string[] = [];
  for (const [, slash, name, end] of svg.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (slash !== "") assert.equal(open.pop(), name);
    else if (end === "") open.push(name!);
  }
  assert.deepEqual(open, []);
}

/** The points of the lines, in the order of the legend. */
function linesOf(svg: string): [x: number, y: number][][] {
  return [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
    points!.split(" ").map((point) => point.split(",").map(Number) as [number, number]),
  );
}

const panelsOf = (svg: string): string[] => [CPU, LATENCY, HUB].filter((title) => svg.includes(`>${title}<`));

describe("plotSvg", () => {
  it("has a panel for each group of tables that the report has", () => {
    assert.deepEqual(panelsOf(plotSvg(reportOf([...LINK_TABLES, ...HUB_TABLES]))), [CPU, LATENCY, HUB]);
    assert.deepEqual(panelsOf(plotSvg(reportOf(LINK_TABLES))), [CPU, LATENCY]);
    assert.deepEqual(panelsOf(plotSvg(reportOf(HUB_TABLES))), [HUB]);
  });

  it("says so where there is nothing to draw, as with other tables and another rig", () => {
    const reports = [
      reportOf([{ title: "raw link, saturated", rows: LINK_TABLES[0]!.rows }]),
      reportOf(LINK_TABLES, "vcan"),
      { ...reportOf([]), rigs: [] },
    ];
    for (const svg of reports.map(plotSvg)) {
      assert.deepEqual(panelsOf(svg), []);
      assert.match(svg, /<text [^>]*>There are no figures/);
      assertInside(svg);
    }
  });

  it("stays inside the drawing and is well formed, whatever the range", () => {
    const wild = linkTable({ contender: "x", cells: { relayUs: cell(1e-6, 0, 1e12), p50: cell(7), p99: cell(7) } });
    for (const tables of [LINK_TABLES, HUB_TABLES, [...LINK_TABLES, ...HUB_TABLES], [wild]]) {
      const svg = plotSvg(reportOf(tables));
      assertInside(svg);
      assertNested(svg);
      assert.doesNotMatch(svg, /NaN|Infinity|undefined|null/);
    }
  });

  it("goes right with the rate and up with the value", () => {
    const [first] = linesOf(plotSvg(reportOf(LINK_TABLES)));
    // 25 µs at 1,000 frames/s, 15 at 8,000, 5 at 20,000.
    assert.equal(first?.length, 3);
    const [slow, middle, fast] = first;
    assert.ok(slow![0] < middle![0] && middle![0] < fast![0]);
    assert.ok(slow![1] < middle![1] && middle![1] < fast![1]);
    assert.ok(middle![0] - slow![0] > fast![0] - middle![0], "8 times is farther than 2.5 times");
  });

  it("leaves out cells that are missing, zero or not a number, and who has none", () => {
    const lost = { ...cell(NaN), median: null } as unknown as Cell;
    const tables = [
      ...LINK_TABLES.slice(0, 2),
      {
        title: "raw link at 1,000 frames/s",
        rows: [
          { contender: "seed client → TCPBus", cells: { p99: cell(5) } },
          { contender: "edge, at once → TCPBus", cells: { relayUs: cell(NaN), p50: lost } },
          { contender: "nobody", cells: { relayUs: cell(0) } },
        ],
      },
    ];
    const svg = plotSvg(reportOf(tables));
    assert.deepEqual(
      linesOf(svg).map((points) => points.length),
      [2, 2],
    );
    assert.doesNotMatch(svg, /nobody|NaN/);
    assertInside(svg);
  });

  it("keeps a contender's colour when a peer is missing", () => {
    const alone = LINK_TABLES.map(({ title, rows }) => ({ title, rows: rows.slice(1) }));
    const colours = [LINK_TABLES, alone].map((tables) => {
      return /<polyline [^>]*stroke="(#\w+)"[^>]*>(?![^]*<polyline)/.exec(plotSvg(reportOf(tables)))?.[1];
    });
    assert.match(colours[0]!, /^#/);
    assert.equal(colours[0], colours[1]);
  });

  it("names contenders, sizes and numbers as a reader wants them", () => {
    const svg = plotSvg(reportOf([...LINK_TABLES, ...HUB_TABLES]));
    for (const text of ["Mosquitto, 1,600 bytes", "canfleet hub, acknowledging, 160 bytes", "20,000", "100,000"]) {
      assert.ok(svg.includes(`>${text}</text>`), text);
    }
    assert.match(svg, /<title id="title">[^<]+<\/title>\n<desc id="desc">CPU of the relay[^<]*Mosquitto/);
  });

  it("escapes what it was told", () => {
    const svg = plotSvg(reportOf([linkTable({ contender: `<script>"&'`, cells: { relayUs: cell(1) } })]));
    assert.ok(svg.includes(">&lt;script&gt;&quot;&amp;'</text>"));
    assert.ok(svg.includes("A &amp; B &lt;C&gt;"));
    assert.doesNotMatch(svg, /<script/);
    assertNested(svg);
  });
});
