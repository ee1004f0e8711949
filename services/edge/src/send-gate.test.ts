import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ERR_FLAG, FLAG_FD, FrameBatch, type FrameParts, type SendSource } from "@canfleet/sdk";
import { Refusals } from "./refusals.ts";
import { SendGate, type SendLimits } from "./send-gate.ts";
import { checkSendPolicy, type SendConfig } from "./send-policy.ts";
import { SendSwitch } from "./send-switch.ts";

function gate(send: SendConfig, limits: SendLimits = {}) {
  const mistakes: string[] = [];
  const policy = checkSendPolicy(send, "send", (path, text) => mistakes.push(`${path}: ${text}`));
  assert.deepEqual(mistakes, []);
  const made = new SendGate(policy, limits);
  return (frame: FrameParts, source: SendSource = "mqtt") => made.ask(source, FrameBatch.of(frame), 0);
}

const bytes = (count: number): Uint8Array => new Uint8Array(count);

describe("SendGate", () => {
  it("asks for everything that a rule says", () => {
    const ask = gate([{ id: "7E0", mask: "7F8", dlc: "2-8", length: "2-8", fd: false, from: "mqtt" }]);
    assert.equal(ask({ idWord: 0x7e3, data: bytes(8) }), undefined);
    assert.equal(ask({ idWord: 0x7e8, data: bytes(8) }), "list");
    assert.equal(ask({ idWord: 0x800007e3, data: bytes(8) }), "list");
    assert.equal(ask({ idWord: 0x7e3, data: bytes(1) }), "list");
    assert.equal(ask({ idWord: 0x7e3, data: bytes(8), dlc: 15 }), "list");
    assert.equal(ask({ idWord: 0x7e3, data: bytes(8), flags: FLAG_FD }), "list");
    assert.equal(ask({ idWord: 0x7e3, data: bytes(8) }, "link"), "list");
    assert.equal(ask({ idWord: (ERR_FLAG | 0x7e3) >>> 0, data: bytes(8) }), "error-frame");
  });

  it("tells formats by digits or by /x and /s, and reads masks", () => {
    const ask = gate("123/x,18DA0000:1FFF0000,00000005/s,7E0:FFFFFFFF");
    assert.equal(ask({ idWord: 0x80000123 }), undefined);
    assert.equal(ask({ idWord: 0x123 }), "list");
    assert.equal(ask({ idWord: 0x98daf110 }), undefined);
    assert.equal(ask({ idWord: 0x98dbf110 }), "list");
    assert.equal(ask({ idWord: 5 }), undefined);
    assert.equal(ask({ idWord: 0x80000005 }), "list");
    assert.equal(ask({ idWord: 0x7e0 }), undefined);
    assert.equal(ask({ idWord: 0x7e1 }), "list");
  });

  it("sends nothing under an empty list, and lets named hosts do all beside rules for others", () => {
    assert.equal(gate([])({ idWord: 1 }, "link"), "list");
    const ask = gate(["link", { id: "7E0", from: ["mqtt", "guest"] }]);
    assert.equal(ask({ idWord: 1 }, "link"), undefined);
    assert.equal(ask({ idWord: 1 }, "guest"), "list");
    assert.equal(ask({ idWord: 0x7e0 }, "guest"), undefined);
  });

  it("keeps the rate of a rule, and counts what is let through only", (context) => {
    let nowMs = 0;
    context.mock.method(performance, "now", () => nowMs);
    const ask = gate([{ id: "1", maxRateHz: 10, burst: 2 }]);
    const passed = (): number => Array.from({ length: 50 }, () => ask({ idWord: 1 })).filter((d) => !d).length;
    assert.equal(passed(), 2);
    assert.equal(ask({ idWord: 1 }), "rate");
    assert.equal(ask({ idWord: 2 }), "list");
    nowMs = 100;
    assert.equal(passed(), 1);
    nowMs = 60_000;
    assert.equal(passed(), 2);
  });

  it("caps MQTT clients and unnamed hosts together, and nobody else", (context) => {
    context.mock.method(performance, "now", () => 0);
    const ask = gate("all", { maxSendHz: 3 });
    assert.deepEqual(
      (["mqtt", "guest", "mqtt", "mqtt", "guest"] as const).map((source) => ask({ idWord: 1 }, source)),
      [undefined, undefined, undefined, "cap", "cap"],
    );
    for (let i = 0; i < 100; i++) assert.equal(ask({ idWord: 1 }, i % 2 ? "link" : "bridge"), undefined);
  });
});

describe("a list of rules", () => {
  it("reports every mistake with its place, and then lets nothing through", () => {
    const paths: string[] = [];
    const policy = checkSendPolicy(
      [
        "link,12~7",
        { id: "800" },
        { id: "xyz", mask: "q", dlc: "9-3", length: "65", burst: 2 },
        { mask: "7FF", maxRateHz: 0, from: [] },
      ],
      "buses[0].send",
      (path) => paths.push(path.slice("buses[0].send".length)),
    );
    const wanted = ["[0]", "[1].id", "[2].id", "[2].mask", "[2].dlc", "[2].length", "[2].burst"];
    assert.deepEqual(paths.sort(), [...wanted, "[3].mask", "[3].maxRateHz", "[3].from"].sort());
    assert.deepEqual(policy.rules, []);
  });
});

describe("Refusals", () => {
  it("tells the first at once and the rest together, with names made harmless", (context) => {
    context.mock.timers.enable({ apis: ["setInterval"] });
    const log: string[] = [];
    const refusals = new Refusals("can0", (text) => log.push(text));
    for (let i = 0; i < 1000; i++) refusals.add("MQTT client eve\ncan0: all is well\u202e", "list", 1);
    assert.equal(log.length, 1);
    assert.match(log[0]!, /^can0: refused a frame of MQTT client eve\\u\{a\}can0: all is well\\u\{202e\}: no rule/);
    context.mock.timers.tick(10_000);
    assert.match(log[1]!, /refused 999 more of MQTT client eve/);
    assert.equal(refusals.counts.list, 1000);
    context.mock.timers.tick(20_000);
    refusals.add("MQTT client eve", "list", 1);
    assert.equal(log.length, 3);
  });

  it("tells a bounded number of names apart", () => {
    const log: string[] = [];
    const refusals = new Refusals("can0", (text) => log.push(text));
    for (let i = 0; i < 5000; i++) refusals.add(`MQTT client ${i}`, "list", 1);
    assert.equal(log.length, 65);
    assert.match(log[64]!, /of others/);
    refusals.close();
    assert.match(log[65]!, /refused 4935 more of others/);
  });
});

describe("SendSwitch", () => {
  it("follows its file, also before anything else", async (context) => {
    const folder = await mkdtemp(join(tmpdir(), "cf-switch-"));
    const file = join(folder, "off");
    context.after(() => rm(folder, { recursive: true }));
    await writeFile(file, "");
    let told: (isOff: boolean) => void = () => undefined;
    const next = (): Promise<boolean> => new Promise((resolve) => (told = resolve));
    const sendSwitch = new SendSwitch(file, (isOff) => told(isOff));
    context.after(() => sendSwitch.close());
    assert.ok(sendSwitch.isOff);
    let change = next();
    await rm(file);
    assert.equal(await change, false);
    assert.ok(!sendSwitch.isOff);
    change = next();
    await writeFile(file, "");
    assert.equal(await change, true);
  });
});
