import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import {
  connect,
  DISCONNECT,
  PINGREQ,
  puback,
  publish,
  pubrel,
  subscribe,
  unsubscribe,
} from "../conformance/packets.ts";
import { Peer } from "../conformance/peer.ts";
import { startHub, type Hub } from "../e2e/support/canfleet.ts";
import { Program } from "../e2e/support/program.ts";
import { cases, internal, Random, SEED } from "./support.ts";

/** Connections at a time, and after how many a good client looks whether the hub is alive. */
const AT_A_TIME = 40;
const LOOK_EVERY = 400;
/** How much a hub may grow after the first cases. */
const MAX_GROWTH_KIB = 64 * 1024;

/** As much of the hub's packet check as is used here. */
interface PacketChecks {
  PacketCheck: new (maxPacketBytes: number) => { take(bytes: Uint8Array): number; fault: string | undefined };
}

/** A few packets that are valid in this order, as one piece of bytes. */
function conversation(random: Random): Buffer {
  const will = { topic: "fuzz/will", message: "gone", qos: random.below(3) };
  const packets = [
    connect({ id: `fuzz${random.below(50)}`, user: "me", password: "p", ...(random.below(2) ? { will } : {}) }),
  ];
  for (let left = random.below(6); left > 0; left--) {
    const id = 1 + random.below(5);
    packets.push(
      random.pick([
        publish("fuzz/a", "payload", { qos: random.below(3), id, retain: random.below(4) === 0 }),
        publish("canfleet/pi/can0/frames", "x"),
        subscribe(id, "fuzz/+", random.below(3), "é/#", 1),
        unsubscribe(id, "fuzz/+"),
        puback(id),
        pubrel(id),
        PINGREQ,
        DISCONNECT,
      ]),
    );
  }
  return Buffer.concat(packets);
}

it("the packet check says the same of mutated packets however they are cut, and hands on what it says", async () => {
  const { PacketCheck } = await internal<PacketChecks>("services/hub/dist/mqtt/packet-check.js");
  const random = new Random(SEED);
  let faults = 0;
  for (let number = 0; number < cases(200_000); number++) {
    const bytes = random.mutate(conversation(random));
    const whole = new PacketCheck(1_000);
    const passed = whole.take(bytes);
    const cut = new PacketCheck(1_000);
    for (const chunk of random.chunks(bytes)) {
      const count = cut.take(chunk);
      assert.ok(count >= 0 && count <= chunk.length, `FUZZ_SEED=${SEED}, case ${number}`);
      if (count < chunk.length) break;
    }
    assert.equal(cut.fault, whole.fault, `FUZZ_SEED=${SEED}, case ${number}: ${bytes.toString("hex")}`);
    assert.ok(passed <= bytes.length);
    if (whole.fault !== undefined) faults++;
  }
  assert.ok(faults > 0, "mutations make faults");
});

describe("fuzz of a hub over sockets", () => {
  let hub: Hub;
  before(async () => {
    hub = await startHub();
  });
  after(() => Program.killAll());

  it("lives through mutated conversations, serves good clients, and does not grow", async () => {
    const random = new Random(SEED);
    const count = cases(3_200);
    let afterWarmUpKib = 0;
    for (let number = 0; number < count; number += AT_A_TIME) {
      await Promise.all(Array.from({ length: AT_A_TIME }, () => talk(random.mutate(conversation(random)))));
      if ((number + AT_A_TIME) % LOOK_EVERY !== 0) continue;
      await serves(number);
      if (number < count / 2) afterWarmUpKib = residentKib();
    }
    const growth = residentKib() - afterWarmUpKib;
    console.log(`the hub grew by ${growth} KiB after half of ${count} conversations`);
    assert.ok(growth < MAX_GROWTH_KIB, `FUZZ_SEED=${SEED}: the hub grew by ${growth} KiB`);
    assert.equal(hub.program.ended, undefined, hub.program.stderr);
    assert.doesNotMatch(hub.program.stderr, /^\s+at /m, "no stack");
  });

  /** Says something and leaves. */
  async function talk(bytes: Buffer): Promise<void> {
    const peer = await Peer.overTcp(hub.port);
    peer.send(bytes);
    await peer.sent();
    await peer.drop();
  }

  async function serves(number: number): Promise<void> {
    assert.equal(hub.program.ended, undefined, `FUZZ_SEED=${SEED}, before case ${number}: ${hub.program.stderr}`);
    const peer = await Peer.overTcp(hub.port);
    peer.send(connect({ id: "good" }), subscribe(1, "good/#", 0));
    await peer.expect("CONNACK present=0 code=0", "SUBACK 1: 0");
    peer.send(publish("good/a", "x"));
    await peer.expect("PUBLISH q0 good/a x");
    await peer.drop();
  }

  function residentKib(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${hub.program.pid}/status`, "utf8"))?.[1]);
  }
});
