import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { EdgeConfig } from "@canfleet/edge";
import type { EdgeSettings } from "./config/schema.ts";
import { edgeConfig } from "./edge-options.ts";
import { parseCommand } from "./parse.ts";
import { EDGE } from "./table/run.ts";
import { serviceSpoolFolder } from "./spool-folder.ts";
import { UsageError } from "./usage-error.ts";

/** Without a spool, unless the line or the settings say something of it. */
function config(line: string, settings: EdgeSettings = {}): EdgeConfig {
  const words = line.split(" ").filter((word) => word !== "");
  return edgeConfig(parseCommand(EDGE, words), settings);
}

describe("an edge's command line", () => {
  it("dials a host as socketsocketcan's client did, and needs no hub for it", () => {
    assert.deepEqual(config("vcan0 my-can-server 5000"), {
      buses: [{ channel: "vcan0", links: [{ host: "my-can-server", port: 5000, record: "auto" }] }],
    });
  });

  it("goes to the hub of this machine when nothing else is named", () => {
    assert.deepEqual(config("can0"), { buses: [{ channel: "can0" }], hub: "mqtt://127.0.0.1:1883" });
  });

  it("goes to several hubs, by repeated flags or commas, which come before those of the settings", () => {
    const settings: EdgeSettings = { hub: ["mqtt://x", "mqtt://y"], hubReturnMinutes: 5 };
    assert.deepEqual(config("can0 --hub mqtt://a,mqtt://b --hub mqtt://c").hub, ["mqtt://a", "mqtt://b", "mqtt://c"]);
    const { hub, hubReturnMinutes } = config("can0 --hub mqtt://a", settings);
    assert.deepEqual([hub, hubReturnMinutes], ["mqtt://a", 5]);
    assert.deepEqual(config("can0", settings).hub, settings.hub);
    assert.throws(() => config("can0 --hub mqtt://a --hub b"), /--hub b: expected mqtt/);
  });

  it("listens, on all addresses or one", () => {
    assert.deepEqual(config("can0 --listen 5000").buses[0]?.links, [{ listen: 5000, record: "auto" }]);
    assert.deepEqual(config("can0 --listen 10.0.0.1:5000 --record 29").buses[0]?.links, [
      { listen: 5000, hostname: "10.0.0.1", record: 29 },
    ]);
  });

  it("names buses, and gives all of them the flags", () => {
    assert.deepEqual(config("--bus sim:car=can0 -b can1 --send 123 --max-rate 20 --filter 100:700").buses, [
      { channel: "sim:car", name: "can0", filters: "100:700", send: "123", maxRateHz: 20 },
      { channel: "can1", filters: "100:700", send: "123", maxRateHz: 20 },
    ]);
  });

  it("takes buses of the settings where it names none, and its own flags before settings", () => {
    const settings: EdgeSettings = {
      name: "pi-7",
      hub: "mqtt://hub",
      base: "b",
      buses: [{ channel: "can0", send: "none" }],
    };
    assert.deepEqual(config("", settings), {
      name: "pi-7",
      hub: "mqtt://hub",
      base: "b",
      buses: [{ channel: "can0", send: "none" }],
    });
    assert.deepEqual(config("can1 --name pi-8 --hub mqtt://other", settings), {
      name: "pi-8",
      hub: "mqtt://other",
      base: "b",
      buses: [{ channel: "can1" }],
    });
  });

  for (const line of [
    "",
    "can0 host",
    "can0 host 0",
    "can0 host 70000",
    "--listen 5000",
    "can0 --listen x",
    "can0 --hub http://h",
  ]) {
    it(`is refused: edge ${line}`, () => assert.throws(() => config(line), UsageError));
  }

  it("has a spool with a hub where it is told one", () => {
    const spoolOf = (line: string, settings?: EdgeSettings): unknown => config(line, settings).ledger?.spool?.dir;
    const none = { ledger: {} };
    assert.equal(spoolOf("can0", none), undefined);
    assert.equal(spoolOf("can0 --spool /s", none), "/s");
    assert.equal(spoolOf("can0 --spool off", { ledger: { spool: { dir: "/s" } } }), undefined);
    assert.equal(spoolOf("can0 host 5000 --spool /s", none), undefined, "no hub, no spool");
    const service = (line: string, settings: EdgeSettings = {}): unknown => {
      const words = line.split(" ");
      return edgeConfig(parseCommand(EDGE, words), settings, "/state/spool").ledger?.spool;
    };
    assert.deepEqual(service("can0"), { dir: "/state/spool", maxAgeHours: 168 });
    assert.deepEqual(service("can0 --spool /s"), { dir: "/s" });
    assert.equal(service("can0 --spool off"), undefined);
    assert.equal(service("can0", { ledger: { spool: { dir: "off" } } }), undefined);
    assert.deepEqual(service("can0", { ledger: { spool: { maxAgeHours: 2 } } }), {
      dir: "/state/spool",
      maxAgeHours: 2,
    });
    assert.equal(service("can0 host 5000"), undefined, "no hub, no spool");
    const settings = { ledger: { historyBytes: 100_000, spool: { dir: "/s", policy: "drop-newest" as const } } };
    assert.deepEqual(config("can0", settings).ledger, {
      historyBytes: 100_000,
      spool: { dir: "/s", policy: "drop-newest" },
    });
  });

  it("finds a service's folder where its unit has one that can be written", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "canfleet-state-"));
    t.after(() => rmSync(folder, { recursive: true }));
    assert.equal(serviceSpoolFolder({ STATE_DIRECTORY: `${folder}:/other` }), join(folder, "spool"));
    assert.equal(serviceSpoolFolder({ STATE_DIRECTORY: join(folder, "gone") }), undefined);
    assert.equal(serviceSpoolFolder({ STATE_DIRECTORY: "" }), undefined);
    assert.equal(serviceSpoolFolder({ XDG_STATE_HOME: folder }), undefined);
  });
});
