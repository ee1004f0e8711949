import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ServiceManager } from "./service-manager.ts";

/** A manager of which nobody listens: what it is told is taken from the lines for people. */
async function manager(said: string[], env: Record<string, string> = {}): Promise<ServiceManager> {
  const found = await ServiceManager.find(
    { NOTIFY_SOCKET: "@canfleet-nobody-listens-here", WATCHDOG_USEC: "300000", ...env },
    (text) => said.push(text),
  );
  assert.ok(found);
  return found;
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!isSo()) {
    assert.ok(performance.now() < endMs, "waited a minute in vain");
    await sleep(10);
  }
}

describe("a service manager", { timeout: 120_000 }, () => {
  it("is there only when the environment names its socket", async () => {
    assert.equal(await ServiceManager.find({}, () => undefined), undefined);
    assert.equal(await ServiceManager.find({ NOTIFY_SOCKET: "" }, () => undefined), undefined);
  });

  it("hears what stands still, and when it works again", async () => {
    const said: string[] = [];
    const found = await manager(said);
    let stuck: string | undefined;
    found.ready(() => Promise.resolve(stuck));
    stuck = "frames of can0";
    await until(() => said.includes("stands still: frames of can0"));
    stuck = undefined;
    await until(() => said.includes("works again"));
    await found.stopping();
  });

  it("takes a question that is never answered for a standstill, and a failure too", async () => {
    const said: string[] = [];
    const found = await manager(said);
    found.ready(() => new Promise(() => undefined));
    await until(() => said.includes("stands still: no answer to the watchdog's question"));
    await found.stopping();
    const failing = await manager(said);
    failing.ready(() => Promise.reject(new Error("broken")));
    await until(() => said.includes("stands still: Error: broken"));
    await failing.stopping();
  });

  it("asks nothing without a watchdog, or for another process", async () => {
    for (const env of [{ WATCHDOG_USEC: "" }, { WATCHDOG_USEC: "many" }, { WATCHDOG_PID: "1" }]) {
      const found = await manager([], env);
      found.ready(() => assert.fail("asked"));
      await found.stopping();
    }
  });

  it("that cannot be reached is told to people once", async () => {
    const said: string[] = [];
    const found = await manager(said, { WATCHDOG_USEC: "" });
    found.ready(() => Promise.resolve(undefined));
    await found.stopping();
    await until(() => said.length > 0);
    assert.deepEqual(said, ["cannot tell the service manager how this is: ECONNREFUSED"]);
  });
});
