import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readInfo, readState, readStatus } from "./fleet-messages.ts";
import { fleetRows, formatFleet } from "./fleet-table.ts";
import type { EdgeView } from "./fleet-view.ts";

const NOW_MS = 1_790_000_000_000;

function edge(state: object, status: { [bus: string]: object | undefined }, info: object = {}): EdgeView {
  return {
    state: readState(JSON.stringify({ session: 1, ...state })),
    info: readInfo(JSON.stringify(info)),
    buses: new Map(Object.entries(status).map(([bus, json]) => [bus, json && readStatus(JSON.stringify(json))])),
  };
}

const up = { t: NOW_MS * 1000, state: "up", lost: { kernel: 0, edge: 0, link: 0 } };

const FLEET = new Map<string, EdgeView>([
  [
    "truck-07",
    edge(
      { state: "online", t: NOW_MS * 1000 },
      {
        can0: {
          ...up,
          busState: "error-active",
          bitrate: 500_000,
          loadPercent: 61.2,
          framesPerSecond: 2644,
          clock: { offsetUs: 312, errorUs: 90, steps: 0, lastStepUs: 0 },
        },
        can1: {
          ...up,
          bitrate: 83_333,
          framesPerSecond: 0,
          lost: { kernel: null, edge: 14, link: 0 },
          clock: { offsetUs: -3_200_000, errorUs: 90, steps: 1, lastStepUs: -3_200_000 },
          spool: { state: "ok", reason: "", bytes: 640_000, frames: 0, dropping: false },
        },
        can2: {
          ...up,
          state: "down",
          lost: { kernel: null },
          spool: { state: "ok", bytes: 256e6, frames: 70_000, dropping: true },
        },
        can3: undefined,
      },
      { clock: "unsynchronised" },
    ),
  ],
  [
    "truck-08",
    edge(
      { state: "online", t: NOW_MS * 1000 },
      { can0: { ...up, busState: "error-passive", spool: { state: "failed", reason: "ENOSPC" } } },
    ),
  ],
  [
    "truck-09",
    edge({ state: "offline", t: (NOW_MS - 7_200_000) * 1000 }, { can0: { state: "up", framesPerSecond: 9 } }),
  ],
  ["truck-10", edge({ state: "online" }, { can0: { ...up, t: (NOW_MS - 10_000) * 1000, framesPerSecond: 9 } })],
  ["truck-11", edge({ state: "online", t: NOW_MS * 1000 }, {})],
]);

describe("the fleet's table", () => {
  it("has a word for each state, and says what is not known as unknown", () => {
    assert.equal(
      formatFleet(fleetRows(FLEET, "+", NOW_MS)),
      [
        "EDGE/BUS       STATE    BITRATE  LOAD  FRAMES/S  DROPS  CLOCK           SPOOL           LAST",
        "truck-07/can0  live        500k   61%     2 644      0  +0.3ms          off             now",
        "truck-07/can1  quiet    83.333k     -         0  14+?  -3.2s, set      640kB           now".replace(
          "  14+?",
          "   14+?",
        ),
        "truck-07/can2  down           -     -         -      ?  unsynchronised  256.0MB, drops  now",
        "truck-07/can3  unknown        -     -         -      -  unsynchronised  -               now",
        "truck-08/can0  passive        -     -         -      0  -               failed          now",
        "truck-09/can0  offline        -     -         -      0  -               -               2 h",
        "truck-10/can0  stale          -     -         -      0  -               -               10 s",
        "truck-11/-     no bus         -     -         -      -  -               -               now",
        "",
      ].join("\n"),
    );
  });

  it("shows what a pattern asks for", () => {
    const names = (pattern: string): string[] => fleetRows(FLEET, pattern, NOW_MS).map(({ bus }) => bus);
    assert.deepEqual(names("truck-08"), ["truck-08/can0"]);
    assert.deepEqual(names("+/can1"), ["truck-07/can1"]);
    assert.deepEqual(names("truck-07/can2"), ["truck-07/can2"]);
    assert.deepEqual(names("none"), []);
  });
});

describe("what an edge says of itself", () => {
  it("is passed over when it is not as documented", () => {
    for (const text of ["", "[]", "null", "{", '{"state":"perhaps"}', '"online"'])
      assert.equal(readState(text), undefined);
    assert.equal(readInfo("[]"), undefined);
    assert.equal(readStatus("7"), undefined);
  });

  it("cannot move the cursor of the terminal", () => {
    const status = readStatus('{"state":"\\u001b[2Jup","reason":"a\\nb"}');
    assert.equal(status?.state, " [2Jup");
    assert.equal(status.reason, "a b");
  });
});
