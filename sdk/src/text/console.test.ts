import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch } from "../can/frame-batch.ts";
import { appendLogLine } from "./candump.ts";
import { ConsoleFormatter, type ConsoleOptions } from "./console.ts";

/** Sent to a vcan in this order, and printed below by candump of can-utils 2020.11. */
const LOG = `\
(1795420968.436885) vcan0 123#1122 T
(1795420968.448864) vcan0 123#R T
(1795420968.459258) vcan0 123#R5 T
(1795420968.470125) vcan0 123# T
(1795420968.480568) vcan0 123##1 T
(1795420968.494673) vcan0 123##31122334455667788AABBCCDD T
(1795420968.511090) vcan0 123##0112233 T
(1795420968.529619) vcan0 1F334455#1122334455667788 T
(1795420968.550798) vcan0 20000004#0008000000000000 T
(1795420968.572501) vcan0 123#41420030 T
(1795420968.595982) vcan0 1F334455#R8 T
(1795420968.645689) vcan0 1F334455##2112233445566778899AABBCCDDEEFF00 T`.split("\n");

const TIME_AND_EXTRA = `\
 (1795420968.436885)  vcan0  TX - -  123   [2]  11 22
 (1795420968.448864)  vcan0  TX - -  123   [0]  remote request
 (1795420968.459258)  vcan0  TX - -  123   [5]  remote request
 (1795420968.470125)  vcan0  TX - -  123   [0]\x20
 (1795420968.480568)  vcan0  TX B -  123  [00]\x20
 (1795420968.494673)  vcan0  TX B E  123  [12]  11 22 33 44 55 66 77 88 AA BB CC DD
 (1795420968.511090)  vcan0  TX - -  123  [03]  11 22 33
 (1795420968.529619)  vcan0  TX - -  1F334455   [8]  11 22 33 44 55 66 77 88
 (1795420968.550798)  vcan0  TX - -  20000004   [8]  00 08 00 00 00 00 00 00   ERRORFRAME
 (1795420968.572501)  vcan0  TX - -       123   [4]  41 42 00 30
 (1795420968.595982)  vcan0  TX - -  1F334455   [8]  remote request
 (1795420968.645689)  vcan0  TX - E  1F334455  [16]  11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF 00`.split("\n");

const EXTRA_AND_ASCII = `\
  vcan0  TX - -  123   [2]  11 22                     '."'
  vcan0  TX - -  123   [0]  remote request
  vcan0  TX - -  123   [5]  remote request
  vcan0  TX - -  123   [0]                            ''
  vcan0  TX B -  123  [00]                            ''
  vcan0  TX B E  123  [12]  11 22 33 44 55 66 77 88 AA BB CC DD
  vcan0  TX - -  123  [03]  11 22 33                  '."3'
  vcan0  TX - -  1F334455   [8]  11 22 33 44 55 66 77 88   '."3DUfw.'
  vcan0  TX - -  20000004   [8]  00 08 00 00 00 00 00 00   ERRORFRAME
  vcan0  TX - -       123   [4]  41 42 00 30               'AB.0'
  vcan0  TX - -  1F334455   [8]  remote request
  vcan0  TX - E  1F334455  [16]  11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF 00`.split("\n");

const printed = (lines: readonly string[], options: ConsoleOptions): string[] => {
  const formatter = new ConsoleFormatter(options);
  return lines.map((line) => {
    const batch = new FrameBatch(1);
    return formatter.format(batch, 0, appendLogLine(batch, line)!);
  });
};

const times = (lines: readonly string[], options: ConsoleOptions): string[] =>
  printed(lines, options).map((line) => line.slice(0, line.indexOf(")") + 1));

describe("ConsoleFormatter", () => {
  it("prints what candump -ta -x prints", () => {
    assert.deepEqual(printed(LOG, { time: "a", extraInfo: true }), TIME_AND_EXTRA);
  });

  it("prints what candump -x -a prints", () => {
    assert.deepEqual(printed(LOG, { extraInfo: true, ascii: true }), EXTRA_AND_ASCII);
  });

  it("prints no time and no extras by default", () => {
    assert.deepEqual(printed(LOG.slice(0, 1), {}), ["  vcan0  123   [2]  11 22"]);
    assert.deepEqual(printed(["(1.000000) can0 123##0" + "01".repeat(64)], {}), [
      "  can0  123  [64] " + " 01".repeat(64),
    ]);
  });

  const STEPS = ["(10.900000) c 1#", "(12.100001) c 1#", "(12.100000) c 1#", "(1012.100000) c 1#"].map((line) =>
    line.replace("1#", "001#"),
  );

  it("tells the time since the line before", () => {
    assert.deepEqual(times(STEPS, { time: "d" }), [
      " (000.000000)",
      " (001.200001)",
      " (000.000000)",
      " (1000.000000)",
    ]);
  });

  it("tells the time since the first line", () => {
    assert.deepEqual(times(STEPS, { time: "z" }), [
      " (000.000000)",
      " (001.200001)",
      " (001.200000)",
      " (1001.200000)",
    ]);
  });

  it("tells the local date and time of day", (t) => {
    const zone = process.env.TZ;
    t.after(() => {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    });
    process.env.TZ = "Europe/Berlin";
    assert.deepEqual(printed(["(1700000000.000042) can0 123#11"], { time: "A" }), [
      " (2023-11-14 23:13:20.000042)  can0  123   [1]  11",
    ]);
  });

  it("sets names right-justified, wider from the first longer one on", () => {
    const lines = ["(1.000000) vcan0 123#11", "(1.000000) longname0 123#11", "(1.000000) vcan0 123#11"];
    assert.deepEqual(printed(lines, {}), [
      "  vcan0  123   [1]  11",
      "  longname0  123   [1]  11",
      "      vcan0  123   [1]  11",
    ]);
    assert.deepEqual(printed(lines.slice(0, 1), { channelWidth: 9 }), ["      vcan0  123   [1]  11"]);
  });
});
