import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HubConnection } from "@canfleet/sdk";
import { Network, networkProblem } from "./network.ts";
import { Rig, SOAK, until } from "./rig.ts";

/** 100 batches/s of 2 kB: a busy machine keeps up. */
const BUSY = { batchesPerSecond: 100, framesPerBatch: 32 };
const IDLE = { batchesPerSecond: 0, framesPerBatch: 32 };
/** What the table of cases names, and what a busy machine is allowed, s. */
const NOTICE = { named: 16, allowed: 64 };
const BACK = { named: 2, allowed: 60 };

describe("faults of the network", { skip: networkProblem(), concurrency: true }, () => {
  it("R16 a half-open connection is noticed at both ends, idle or busy, and nothing is missing", async (t) => {
    const network = await Network.start(t);
    const rig = await Rig.start(t, { network });
    const states = new Map<string, string>();
    const watcher = new HubConnection(rig.url, {
      onMessage: (topic, payload) => {
        const { state } = JSON.parse(new TextDecoder().decode(payload)) as { state: string };
        states.set(topic.split("/")[1]!, state);
      },
    });
    t.after(() => watcher.close());
    await watcher.ready();
    await watcher.subscribe(["canfleet/+/state"], 1);
    await rig.startEdge("busy", BUSY, { ledger: { historyBytes: 64 << 20 } });
    await rig.startEdge("idle", IDLE);
    const names = rig.edges.map(({ name }) => name);
    const all = (state: string) => (): boolean => names.every((name) => states.get(name) === state);
    const said = (text: string) => (): boolean =>
      names.every((name) => rig.edgeLog.some((line) => line.startsWith(`${name}: hub`) && line.includes(text)));
    await until("both edges are online", all("online"));
    await sleep(1_000);

    for (let round = 0; round < SOAK; round++) {
      rig.edgeLog.length = 0;
      network.lose(1);
      const cutAt = performance.now();
      const [hubSeconds, edgeSeconds] = await Promise.all([
        secondsUntil("the hub has noticed", all("offline"), cutAt),
        secondsUntil("the edges have noticed", said(" lost ("), cutAt),
      ]);
      network.lose(0);
      const backSeconds = await secondsUntil("all are back", all("online"), performance.now());
      console.log(
        `R16 noticed by the hub after ${hubSeconds} s, by both edges after ${edgeSeconds} s (${NOTICE.named}), ` +
          `back after ${backSeconds} s (${BACK.named})`,
      );
      assert.ok(Math.max(hubSeconds, edgeSeconds) <= NOTICE.allowed && backSeconds <= BACK.allowed);
    }
    const { lost } = await rig.settle("R16");
    assert.equal(lost, 0);
  });
});

async function secondsUntil(what: string, isSo: () => boolean, sinceMs: number): Promise<number> {
  await until(what, isSo);
  return Number(((performance.now() - sinceMs) / 1000).toFixed(1));
}
