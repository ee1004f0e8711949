import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch } from "../can/frame-batch.ts";
import { formatFrame, parseFrame } from "../text/frame-notation.ts";
import { encodeControlRequest, readControlRequest, type ControlRequest } from "./control-request.ts";
import { decodeControlResponse, encodeControlResponse, type BusSettings } from "./control-response.ts";

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

function problem(value: object): string {
  const read = readControlRequest(bytes(value));
  if (read.kind !== "problem") assert.fail(JSON.stringify(value));
  return `${read.problem.code}: ${read.problem.error}`;
}

function request(value: unknown): ControlRequest {
  const read = readControlRequest(bytes(value));
  assert.equal(read.kind, "request", JSON.stringify(read));
  return (read as { request: ControlRequest }).request;
}

describe("control requests", () => {
  it("are read back as they were written", () => {
    const tenures = [
      { by: "me", leaseMs: 5000 },
      { by: "me", leaseMs: undefined },
    ];
    const requests: ControlRequest[] = tenures.flatMap((tenure) => [
      { id: "1", op: "filters", filters: "123:7FF,400~7F0", ...tenure },
      { id: "2", op: "latest", hz: 20, ...tenure },
      { id: "3", op: "latest", hz: null, ...tenure },
      { id: "4", op: "urgent", ids: "", ...tenure },
    ]);
    requests.push({ id: "5", op: "get" }, { id: "6", op: "stop", task: "t" });
    requests.push({ id: "7", op: "renew", by: "me" }, { id: "8", op: "release", by: "me" });
    for (const one of requests) assert.deepEqual(request(encodeControlRequest(one)), one);
  });

  it("carry every kind of frame", () => {
    for (const text of ["123#DEADBEEF", "1F334455#", "123##1AABB", "123#R4", "123#1122334455667788_C"]) {
      const frame = FrameBatch.of(parseFrame(text));
      const one: ControlRequest = { id: "1", op: "periodic", task: "t", frame, periodMs: 1.5, by: "b", leaseMs: 1000 };
      const back = request(encodeControlRequest(one));
      assert.ok(back.op === "periodic");
      assert.deepEqual([formatFrame(back.frame, 0), back.periodMs, back.by], [text, 1.5, "b"]);
    }
  });

  it("have an owner and a lease where they name none", () => {
    const read = request({ id: "x", op: "filters", filters: "123" });
    assert.deepEqual(read, { id: "x", op: "filters", filters: "123", by: "x", leaseMs: 10_000 });
  });

  it("are refused with the field that is wrong", () => {
    const long = "x".repeat(65);
    const periodic = { id: "1", op: "periodic", task: "t", frame: "123#", periodMs: 10 };
    const wrong: [object, RegExp][] = [
      [{ id: "1", op: "dance" }, /^unknown-op: .*"dance"/],
      [{ id: "1" }, /^unknown-op/],
      [{ id: "1", op: "filters" }, /^bad-request: "filters": .*nothing/],
      [{ id: "1", op: "filters", filters: "xyz" }, /^bad-request: "filters": .*xyz/],
      [{ id: "1", op: "urgent", ids: Array(257).fill("123").join() }, /"ids": at most 256, got 257/],
      [{ id: "1", op: "latest" }, /"hz": expected a number from 0.1 to 1000/],
      [{ id: "1", op: "latest", hz: 0 }, /"hz"/],
      [{ id: "1", op: "latest", hz: 1, leaseMs: 999 }, /"leaseMs": expected a number from 1000 to 3600000, got 999/],
      [{ id: "1", op: "latest", hz: 1, stay: 1 }, /"stay"/],
      [{ id: "1", op: "latest", hz: 1, stay: true, leaseMs: 2000 }, /not both/],
      [{ id: "1", op: "latest", hz: 1, by: long }, /"by": expected a text of 1 to 64/],
      [{ ...periodic, periodMs: 0.5 }, /"periodMs": expected a number from 1 to 3600000/],
      [{ ...periodic, periodMs: "10" }, /"periodMs"/],
      [{ ...periodic, task: "" }, /"task"/],
      [{ ...periodic, frame: "12#" }, /"frame"/],
      [{ ...periodic, frame: "20000004#0008000000000000" }, /"frame": an error frame/],
      [{ id: "1", op: "stop" }, /"task"/],
      [{ id: "1", op: "renew" }, /"by"/],
    ];
    for (const [value, expected] of wrong) assert.match(problem(value), expected);
  });

  it("without an id, or that are none, cannot be answered; backfill is somebody else's", () => {
    const none = ["", "{", "[]", "null", '"x"', { op: "get" }, { id: 7, op: "get" }, { id: "", op: "get" }];
    for (const value of none) assert.deepEqual(readControlRequest(bytes(value)), { kind: "unanswerable" });
    const huge = { id: "1", op: "get", padding: "x".repeat(16_384) };
    assert.deepEqual(readControlRequest(bytes(huge)), { kind: "unanswerable" });
    assert.deepEqual(readControlRequest(bytes({ id: "1", op: "backfill" })), { kind: "other" });
  });
});

describe("control responses", () => {
  const settings: BusSettings = {
    control: "lease",
    filters: { value: "123", configured: "", by: "me", leaseMs: 7 },
    latest: { value: null, configured: 5, by: null, leaseMs: null },
    urgent: { value: "", configured: "", by: null, leaseMs: null },
    tasks: [],
  };

  it("are read back as they were written", () => {
    const good = { id: "1", op: "get", ok: true, settings } as const;
    const bad = { id: "1", op: "periodic", ok: false, code: "denied", error: "no" } as const;
    assert.deepEqual(decodeControlResponse(bytes(encodeControlResponse(good))), good);
    assert.deepEqual(decodeControlResponse(bytes(encodeControlResponse(bad))), bad);
  });

  it("that are none, or not for us, are passed over", () => {
    const others = [
      "",
      "[]",
      { id: "1" },
      { id: "1", op: "backfill", ok: true, gone: [] },
      { id: "1", op: "get", ok: true },
    ];
    const broken = { id: "1", op: "get", ok: true, settings: { ...settings, tasks: [null] } };
    for (const value of [...others, broken]) assert.equal(decodeControlResponse(bytes(value)), undefined);
  });
});
