import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { HubConnection } from "@canfleet/sdk";
import { startHub } from "./support/canfleet.ts";
import { Program } from "./support/program.ts";
import { clientsOf, skipWithout, startMosquittoSub } from "./support/strangers.ts";
import { until } from "./support/until.ts";

const CROWD = fileURLToPath(new URL("support/publisher-crowd.js", import.meta.url));
const PUBLISHERS = 150;
const MESSAGES_PER_SECOND_EACH = 5;
const MESSAGE_BYTES = 2000;
const BASELINE_MS = 5_000;
const STALL_MS = 15_000;
/** Aedes on its own lets everybody wait for 60 s for one stalled subscriber. */
const LONGEST_GAP_MS = 1000;

describe("a subscriber that stops reading", { skip: skipWithout("mosquitto_sub") }, () => {
  after(() => Program.killAll());

  it("costs nobody else a message or a second, and is told apart by its drops", async (t) => {
    const hub = await startHub();
    const received = new Map<string, number[]>();
    let last = performance.now();
    let longestGapMs = 0;
    const healthy = new HubConnection(hub.url, {
      clientId: "healthy",
      onMessage: (topic, payload) => {
        const now = performance.now();
        longestGapMs = Math.max(longestGapMs, now - last);
        last = now;
        const numbers = received.get(topic) ?? [];
        numbers.push(new DataView(payload.buffer, payload.byteOffset).getUint32(0));
        received.set(topic, numbers);
      },
    });
    t.after(() => healthy.close());
    await healthy.ready();
    await healthy.subscribe(["crowd/#"], 0);
    const victim = await startMosquittoSub(hub, "victim", "crowd/#", "-F", "%t");
    const crowd = Program.start(process.execPath, [
      CROWD,
      hub.url,
      `${PUBLISHERS}`,
      `${MESSAGES_PER_SECOND_EACH}`,
      `${MESSAGE_BYTES}`,
    ]);
    await crowd.line(/^READY$/);
    await until("a message of each publisher", () => received.size === PUBLISHERS);

    // What this machine does to everybody, stalled or not, is no fault of the hub.
    longestGapMs = 0;
    const beganAt = performance.now();
    await until("the usual gaps", () => performance.now() - beganAt > BASELINE_MS);
    const usualMs = longestGapMs;

    longestGapMs = 0;
    victim.signal("SIGSTOP");
    const stalledAt = performance.now();
    // A client that takes nothing for long is disconnected in the end: its drops are looked at all along.
    let dropped = 0;
    await until("the end of the stall", async () => {
      const clients = await clientsOf(hub);
      dropped = Math.max(dropped, clients.find(({ id }) => id === "victim")?.droppedMessages ?? 0);
      assert.equal(clients.find(({ id }) => id === "healthy")?.droppedMessages, 0);
      return performance.now() - stalledAt > STALL_MS;
    });
    const duringStallMs = longestGapMs;
    assert.ok(dropped > 0, "drops of the victim are told");
    victim.signal("SIGKILL");
    victim.signal("SIGCONT");
    await victim.exit();

    const before = last;
    await until("messages after the victim left", () => last > before);
    assert.equal(hub.program.ended, undefined);
    crowd.stdin.end();
    const published = (await crowd.line(/^PUBLISHED/)).split(" ").slice(1).map(Number);
    const produced = published.reduce((sum, n) => sum + n, 0);
    const delivered = (): number => [...received.values()].reduce((sum, numbers) => sum + numbers.length, 0);
    await until("every message", () => delivered() >= produced);
    const longest = `longest gap ${Math.round(duringStallMs)} ms`;
    console.log(`healthy: produced ${produced} delivered ${delivered()} ${longest}; victim: ${dropped} drops told`);
    published.forEach((count, i) => {
      assert.deepEqual(
        received.get(`crowd/${i}`),
        Array.from({ length: count }, (_, n) => n),
      );
    });
    assert.ok(duringStallMs < LONGEST_GAP_MS + usualMs, `${longest}, ${Math.round(usualMs)} ms without a stall`);
  });
});
