import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { HubConnection, type BusSettings } from "@canfleet/sdk";
import { relayGuestTests } from "../lab/guest-tests.ts";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Controller } from "./support/controller.ts";
import { Fleet } from "./support/fleet.ts";
import { Program } from "./support/program.ts";
import { until } from "./support/until.ts";

relayGuestTests("periodic sends kept by the kernel", fileURLToPath(new URL("control.guest.js", import.meta.url)), {
  vcans: 1,
  limitSeconds: 240,
});

describe("a bus controlled from afar", () => {
  let hub: Hub;
  let fleet: Fleet;
  let controller: Controller;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    canfleet("edge", "sim:car", "--hub", hub.url, "--name", "pi", "--send", "123,124");
    await fleet.ready("pi", "car");
    controller = await Controller.connect(hub.url, "pi", "car");
  });
  after(async () => {
    await controller.close();
    await fleet.close();
    await Program.killAll();
  });

  const ok = (request: object): Promise<BusSettings> => controller.ok(request);
  const code = (request: object): Promise<string> => controller.code(request);

  it("sets filters, latest values and urgent ids, tells them, and gives them back", async () => {
    const set = await ok({ op: "filters", filters: "7F0:7FF", by: "me", leaseMs: 60_000 });
    assert.equal(set.filters.value, "7F0:7FF");
    assert.equal(set.filters.by, "me");
    assert.ok(set.filters.leaseMs! > 0 && set.filters.leaseMs! <= 60_000);
    await ok({ op: "latest", hz: 5, by: "me" });
    await ok({ op: "urgent", ids: "123", by: "other" });
    const status = await fleet.until("pi/car/status", ({ control }) => control?.urgent === "123");
    assert.deepEqual(status.control, { filters: "7F0:7FF", latestHz: 5, urgent: "123" });
    const left = await ok({ op: "release", by: "me" });
    assert.deepEqual([left.filters.value, left.latest.value, left.urgent.value], ["", null, "123"]);
    await ok({ op: "urgent", ids: "" });
    await fleet.until("pi/car/status", ({ control }) => control === undefined);
  });

  it("leaves frames out that a live filter does not pass, without a gap in their numbers", async () => {
    await ok({ op: "filters", filters: "7F0:7FF", by: "me", leaseMs: 60_000 });
    const { seq, filtered } = await fleet.until("pi/car/status", ({ control }) => control?.filters !== undefined);
    await fleet.until("pi/car/status", (status) => status.filtered! > filtered! + 50);
    // Error frames pass every filter, and this bus has none.
    assert.equal(fleet.report("pi/car/status")!.seq, seq);
    await ok({ op: "release", by: "me" });
    await fleet.until("pi/car/status", (status) => status.seq! > seq!);
  });

  it("ends what is not renewed, and keeps what is", async () => {
    await ok({ op: "filters", filters: "123", by: "gone", leaseMs: 1000 });
    await ok({ op: "latest", hz: 9, by: "alive", leaseMs: 20_000 });
    await until("the lease ends", async () => (await ok({ op: "renew", by: "alive" })).filters.by === null);
    assert.equal((await ok({ op: "get" })).latest.by, "alive");
    await ok({ op: "release", by: "alive" });
  });

  it("keeps periodic sends until they are stopped or their owner is gone", async () => {
    const start = { op: "periodic", task: "t", frame: "123#01", periodMs: 20, by: "me", leaseMs: 60_000 };
    const [task] = (await ok(start)).tasks;
    assert.deepEqual([task?.task, task?.frame, task?.keptBy, task?.paused], ["t", "123#01", "edge", false]);
    await until("some sends", async () => (await ok({ op: "get" })).tasks[0]!.sent >= 5);
    const changed = await ok({ ...start, frame: "123#02" });
    assert.deepEqual([changed.tasks.length, changed.tasks[0]!.frame], [1, "123#02"]);
    await controller.seen("123#02");
    assert.deepEqual((await ok({ op: "stop", task: "t" })).tasks, []);
    assert.equal(await code({ op: "stop", task: "t" }), "no-such-task");
    await ok({ ...start, leaseMs: 1000 });
    await until("the lease ends", async () => (await ok({ op: "get" })).tasks.length === 0);
  });

  it("bounds them, and asks the send rules for each", async () => {
    const periodic = { op: "periodic", task: "t", periodMs: 3_600_000, by: "many" };
    assert.equal(await code({ ...periodic, frame: "125#" }), "denied");
    for (let i = 0; i < 64; i++) await ok({ ...periodic, task: `t${i}`, frame: "123#", leaseMs: 600_000 });
    assert.equal(await code({ ...periodic, frame: "123#" }), "too-many");
    assert.equal(await code({ ...periodic, task: "t0", frame: "125#" }), "denied");
    assert.deepEqual((await ok({ op: "release", by: "many" })).tasks, []);
  });

  it("refuses what is wrong, what would stay, and what was retained", async () => {
    assert.equal(await code({ op: "dance" }), "unknown-op");
    assert.equal(await code({ op: "latest", hz: 0 }), "bad-request");
    assert.equal(await code({ op: "filters", filters: "123", stay: true }), "off");
    const client = new HubConnection(hub.url, {});
    await client.ready();
    const late = { id: "late", op: "latest", hz: 3, by: "late" };
    client.publish("canfleet/pi/car/request", JSON.stringify(late), { qos: 1, retain: true });
    await client.close();
    assert.equal((await ok({ op: "get" })).latest.by, null);
  });
});
