import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { Message } from "@canfleet/sdk";
import type { EdgeConfig } from "./config.ts";
import { createSimDriver } from "./drivers/sim/sim-driver.ts";
import { Edge } from "./edge.ts";
import { LocalBus } from "./local-bus.ts";

const LIMIT_MS = 60_000;
const END = 0x7ff;

const open: (() => Promise<unknown>)[] = [];
let made = 0;

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A bus that no other test has. */
function simName(): string {
  return `br${process.pid}-${made++}`;
}

async function participant(name: string): Promise<LocalBus> {
  const bus = await LocalBus.open(createSimDriver(name));
  open.push(() => bus.shutdown());
  return bus;
}

interface Outcome {
  onBus: number[];
  log: string[];
}

/** What gets from one bus to the other through an edge that bridges them, when these ids are sent, then a last one. */
async function bridged(ids: number[], make: (a: string, b: string) => EdgeConfig, isLastSent = true): Promise<Outcome> {
  const [a, b] = [simName(), simName()];
  const [from, to] = [await participant(a), await participant(b)];
  const log: string[] = [];
  const edge = await Edge.start(make(`sim:${a}`, `sim:${b}`), { log: (text) => log.push(text) });
  open.push(() => edge.close());
  const onBus: number[] = [];
  const ended = new Promise<void>((resolve) => {
    to.on("message", ({ arbitrationId }) => {
      onBus.push(arbitrationId);
      if (arbitrationId === END) resolve();
    });
  });
  for (const id of ids) await from.send(new Message({ arbitrationId: id }), { confirm: true, ttlMs: LIMIT_MS });
  if (isLastSent) {
    await from.send(new Message({ arbitrationId: END }), { ttlMs: LIMIT_MS });
    await ended;
  }
  return { onBus, log };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!condition()) {
    if (Date.now() > endMs) assert.fail(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("what a bridge of an edge may put on an interface", { timeout: 4 * LIMIT_MS }, () => {
  it("is everything on an interface that is none of the edge's buses", async () => {
    const { onBus } = await bridged([0x123, 0x124], (a, b) => ({ name: "e", buses: [], bridges: [{ a, b }] }));
    assert.deepEqual(onBus, [0x123, 0x124, END]);
  });

  it("is what its own rules name, when it has some", async () => {
    const { onBus, log } = await bridged([0x123, 0x124, 0x125], (a, b) => ({
      name: "e",
      buses: [],
      bridges: [{ a, b, send: ["124", { id: "7FF", from: ["bridge"] }] }],
    }));
    assert.deepEqual(onBus, [0x124, END]);
    assert.ok(log.some((line) => /refused a frame of bridge sim:\S+ – sim:\S+: no rule names it/.test(line)));
  });

  it("is what the rules of the edge's bus name, where that has the same interface", async () => {
    const { onBus, log } = await bridged([0x123, 0x124], (a, b) => ({
      name: "e",
      buses: [{ channel: b, name: "b", send: "123,7FF" }],
      bridges: [{ a, b }],
    }));
    assert.deepEqual(onBus, [0x123, END]);
    assert.ok(log.some((line) => /^b: refused a frame of bridge .*: no rule names it/.test(line)));
  });

  it("is nothing on a bus of which nobody may send, nor while sending is switched off", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cf-bridge-"));
    open.push(() => rm(folder, { recursive: true }));
    const sendOffFile = join(folder, "off");
    await writeFile(sendOffFile, "");
    const none = await bridged(
      [0x123],
      (a, b) => ({ name: "e", buses: [{ channel: b, name: "b", send: "none" }], bridges: [{ a, b }] }),
      false,
    );
    await until(() => none.log.some((line) => line.includes("no rule names it")), "the refusal");
    const off = await bridged([0x123], (a, b) => ({ name: "e", buses: [], bridges: [{ a, b }], sendOffFile }), false);
    await until(
      () =>
        off.log.some(
          (line) => line.includes("sending is switched off\n") || line.endsWith(": sending is switched off"),
        ),
      "the refusal",
    );
    assert.deepEqual([none.onBus, off.onBus], [[], []]);
  });
});
