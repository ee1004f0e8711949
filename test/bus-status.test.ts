import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { relayGuestTests } from "./lab/guest-tests.ts";
import { StatusWatcher, until } from "./status-watcher.suite.ts";

relayGuestTests(
  "status of buses in a guest with SocketCAN",
  fileURLToPath(new URL("bus-status.guest.js", import.meta.url)),
);

test("status of the simulated buses has their bit rates, a state and a load", async () => {
  const watcher = await StatusWatcher.start([
    { channel: "sim:car" },
    { channel: "sim:boat" },
    { channel: "sim:quiet" },
  ]);
  try {
    const car = await watcher.find("car", ({ loadPercent }) => loadPercent !== null && loadPercent > 0);
    assert.deepEqual([car.bitrate, car.busState], [500_000, "error-active"]);
    assert.ok(car.loadPercent! <= 100, `${car.loadPercent} %`);
    const boat = await watcher.find("boat", ({ loadPercent }) => loadPercent !== null && loadPercent > 0);
    assert.deepEqual([boat.bitrate, boat.busState], [250_000, "error-active"]);
    const quiet = await watcher.next("quiet", () => true);
    assert.deepEqual([quiet.bitrate, quiet.busState, quiet.loadPercent], [null, null, null]);
    await until(
      () => watcher.info?.buses.boat?.bitrate === 250_000,
      () => "info with the bit rate",
    );
  } finally {
    await watcher.close();
  }
});
