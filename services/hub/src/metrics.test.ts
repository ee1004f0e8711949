import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import type { BrokerCounts } from "./broker.ts";
import { Fleet } from "./fleet.ts";
import { renderMetrics } from "./metrics.ts";

const BROKER: BrokerCounts = {
  connections: 1,
  connectionsLimit: 9,
  queuedBytes: 2,
  receivedMessages: 3,
  receivedBytes: 4,
  deliveredMessages: 5,
  deliveredBytes: 6,
  droppedMessages: 7,
  retainedMessages: 8,
  sessions: 1,
  refusals: { retained: 1, "retain-topic": 7, reserved: 2, name: 3, filter: 4, full: 5, qos2: 8, identity: 6 },
  oversizedPackets: 1,
  invalidPackets: { qos: 1 },
  evictions: { slow: 1 },
};
const PROCESS = {
  cpuSeconds: 1.5,
  residentBytes: 1e8,
  heapBytes: 1e7,
  startedAtSeconds: 1.7e9,
  eventLoopLagSeconds: 1e-9,
};

function lines(fleet: Fleet): string[] {
  const page = renderMetrics({
    version: '1"\\\n',
    process: PROCESS,
    isReady: true,
    takenFrames: 12,
    badBatches: 0,
    broker: BROKER,
    cuts: { address: 3 },
    brokerConnected: true,
    upstream: { isConnected: true, counts: { up: 1, down: 2, dropped: 3 } },
    edges: fleet.edges(2_000),
  });
  return page.split("\n");
}

interface Family {
  type: string;
  help: string;
  samples: string[];
}

/** Reads the text format; fails where it is not well-formed: each sample belongs to the family announced before it. */
function familiesOf(page: string[]): Map<string, Family> {
  const families = new Map<string, Family>();
  let name = "";
  for (const line of page.filter((text) => text !== "")) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge)$/.exec(line);
    if (help) {
      name = help[1]!;
      assert.ok(!families.has(name), `${name} is announced twice`);
      families.set(name, { type: "", help: help[2]!, samples: [] });
    } else if (type) {
      assert.equal(type[1], name);
      families.get(name)!.type = type[2]!;
    } else {
      assert.match(line, new RegExp(`^${name}(\\{(\\w+="([^"\\\\\\n]|\\\\.)*",?)+\\})? -?[0-9.e+-]+$`));
      families.get(name)!.samples.push(line.slice(0, line.lastIndexOf(" ")));
    }
  }
  return families;
}

describe("metrics", () => {
  const fleet = new Fleet("canfleet");
  fleet.apply("canfleet/pi-7/state", Buffer.from('{"state":"online"}'), false, 0);
  const lost = { kernel: null, edge: 2, 'x"\n': 1, y: 4 };
  const status = { state: "up", loadPercent: 25, bitrate: 500_000, frames: { received: 7 }, lost };
  fleet.apply("canfleet/pi-7/can0/status", Buffer.from(JSON.stringify(status)), false, 500);
  const page = lines(fleet);

  it("escape what strangers put into labels, and take no places of loss that are none", () => {
    assert.ok(page.includes('canfleet_hub_info{version="1\\"\\\\\\n"} 1'));
    assert.ok(page.includes('canfleet_bus_lost_frames_total{edge="pi-7",bus="can0",place="edge"} 2'));
    assert.ok(page.includes('canfleet_bus_lost_frames_total{edge="pi-7",bus="can0",place="other"} 5'));
    assert.equal(page.filter((line) => line.includes("place=")).length, 2);
  });

  it("have base units, and leave out what nobody knows", () => {
    assert.ok(page.includes('canfleet_edges{state="online"} 1'));
    assert.ok(page.includes('canfleet_hub_cut_connections_total{reason="address"} 3'));
    assert.ok(page.includes('canfleet_bus_load_ratio{edge="pi-7",bus="can0"} 0.25'));
    assert.ok(page.includes('canfleet_bus_status_age_seconds{edge="pi-7",bus="can0"} 1.5'));
    assert.ok(page.includes('canfleet_bus_frames_total{edge="pi-7",bus="can0",direction="received"} 7'));
    assert.ok(!page.some((line) => line.includes('place="kernel"') || line.includes('direction="sent"')));
  });

  it("are named by Prometheus' conventions, and no sample comes twice", () => {
    for (const [name, { type, help, samples }] of familiesOf(page)) {
      assert.match(name, /^(canfleet|process|nodejs)_[a-z0-9]+(_[a-z0-9]+)*$/);
      assert.equal(name.endsWith("_total"), type === "counter", `${name} is a ${type}`);
      assert.doesNotMatch(name, /_(ms|us|milliseconds|kb|mb|percent|count)(_|$)/, "a base unit");
      assert.match(help, /\.$/);
      assert.equal(new Set(samples).size, samples.length, name);
    }
  });

  it("are those of docs/operations.md, with their types and labels", async () => {
    const doc = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
    const rows = doc.matchAll(/^\| `([a-z0-9_]+)` +\| (counter|gauge) +\| ([^|]*) \|/gm);
    const documented = [...rows].map(([, name, type, labels]) => [name, type, labels!.match(/\w+/g) ?? []]);
    const rendered = [...familiesOf(page)].map(([name, { type, samples }]) => [
      name,
      type,
      [...new Set(samples.flatMap((sample) => [...sample.matchAll(/(\w+)="/g)].map(([, label]) => label)))],
    ]);
    const byName = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
    assert.deepEqual(documented.sort(byName), rendered.sort(byName));
  });
});
