import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Message, MqttBus } from "@canfleet/sdk";
import { canfleet, startHub } from "../e2e/support/canfleet.ts";
import { Fleet } from "../e2e/support/fleet.ts";
import { freePort } from "../e2e/support/port.ts";
import { Program } from "../e2e/support/program.ts";
import { skipWithout } from "../e2e/support/strangers.ts";
import { PATIENCE_MS, until } from "../e2e/support/until.ts";

describe("a stranger's Mosquitto that bridges into the hub", { skip: skipWithout("mosquitto") }, () => {
  after(() => Program.killAll());

  it("stays connected as it comes, with notifications, and joins both fleets", async (t) => {
    const hub = await startHub();
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "canfleet-bridge-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const config = join(folder, "mosquitto.conf");
    writeFileSync(
      config,
      `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n` +
        `connection to-the-hub\naddress 127.0.0.1:${hub.port}\ntopic canfleet/# both 1\n`,
    );
    const mosquitto = Program.start("/usr/sbin/mosquitto", ["-c", config]);
    await mosquitto.said(/mosquitto version \S+ running/);
    const strangerUrl = `mqtt://127.0.0.1:${port}`;
    const edgeAt = (name: string, url: string): Program =>
      canfleet("edge", "sim:boat=can0", "--name", name, "--send", "all", "--hub", url);
    edgeAt("here", hub.url);
    edgeAt("there", strangerUrl);
    // Each edge is seen, asked and heard at the broker that it is not connected to.
    for (const [edge, url] of [
      ["here", strangerUrl],
      ["there", hub.url],
    ] as const) {
      const fleet = await Fleet.connect(url);
      t.after(() => fleet.close());
      await fleet.ready(edge, "can0");
      const bus = await MqttBus.connect(url, { edge, bus: "can0", connectTimeoutMs: PATIENCE_MS });
      t.after(() => bus.shutdown());
      await bus.send(new Message({ arbitrationId: 0x7f0, data: [1] }), { confirm: true, ttlMs: PATIENCE_MS });
      assert.ok(await bus.recv({ timeoutMs: PATIENCE_MS }));
    }
    // It said where it is on $SYS/broker/connection/…, which was swallowed: one connection, never ended.
    const refused = await until("what it says of itself", () => reservedOf(hub.httpUrl));
    assert.ok(refused >= 1);
    const connects = mosquitto.stderr.match(/Connecting bridge \(step 1\)/g) ?? [];
    assert.equal(connects.length, 1, mosquitto.stderr);
  });
});

async function reservedOf(httpUrl: string): Promise<number> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text();
  return Number(/canfleet_hub_refused_total\{reason="reserved"\} (\d+)/.exec(text)?.[1] ?? 0);
}
