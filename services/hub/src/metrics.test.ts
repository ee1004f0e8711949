import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fleet } from "./fleet.ts";
import { renderMetrics } from "./metrics.ts";

function lines(fleet: Fleet): string[] {
  const source = {
    version: '1"\\\n',
    broker: undefined,
    cuts: { address: 3 },
    brokerConnected: true,
    edges: fleet.edges(2_000),
  };
  return renderMetrics(source).split("\n");
}

describe("metrics", () => {
  const fleet = new Fleet("canfleet");
  fleet.apply("canfleet/pi-7/state", Buffer.from('{"state":"online"}'), false, 0);
  const status = { state: "up", loadPercent: 25, frames: { received: 7 }, lost: { kernel: null, edge: 2, 'x"\n': 1 } };
  fleet.apply("canfleet/pi-7/can0/status", Buffer.from(JSON.stringify(status)), false, 500);
  const page = lines(fleet);

  it("escape what strangers put into labels", () => {
    assert.ok(page.includes('canfleet_hub_info{version="1\\"\\\\\\n"} 1'));
    assert.ok(page.includes('canfleet_bus_lost_frames_total{edge="pi-7",bus="can0",place="x\\"\\n"} 1'));
  });

  it("have base units, and leave out what nobody knows", () => {
    assert.ok(page.includes('canfleet_edges{state="online"} 1'));
    assert.ok(page.includes('canfleet_hub_cut_connections_total{reason="address"} 3'));
    assert.ok(page.includes('canfleet_bus_load_ratio{edge="pi-7",bus="can0"} 0.25'));
    assert.ok(page.includes('canfleet_bus_status_age_seconds{edge="pi-7",bus="can0"} 1.5'));
    assert.ok(page.includes('canfleet_bus_frames_total{edge="pi-7",bus="can0",direction="received"} 7'));
    assert.ok(!page.some((line) => line.includes('place="kernel"') || line.includes('direction="sent"')));
  });

  it("are well-formed: each sample belongs to the family announced before it", () => {
    let family = "";
    for (const line of page.filter((text) => text !== "")) {
      const announced = /^# (?:HELP|TYPE) (\w+) /.exec(line);
      if (announced) family = announced[1]!;
      else assert.match(line, new RegExp(`^${family}(\\{(\\w+="([^"\\\\\\n]|\\\\.)*",?)+\\})? -?[0-9.e+-]+$`));
    }
  });
});
