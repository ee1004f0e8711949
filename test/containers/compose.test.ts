import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Hub } from "@canfleet/hub";
import { Fleet } from "../e2e/support/fleet.ts";
import { Program } from "../e2e/support/program.ts";
import { until } from "../e2e/support/until.ts";
import { PROJECT_PREFIX, prepareEngine, REPOSITORY, skipWithoutCompose, skipWithoutEngine } from "./engine.ts";

const VARIANTS = ["can0", "mosquitto", "monitoring"];
const EDGES = ["boat", "car"];
/** Healthy within: three checks of the image and a slow start, ms. */
const LIMIT_MS = 120_000;
const METRIC = /\b(?:canfleet|process|nodejs)_[a-z0-9_]+/g;

function files(...variants: string[]): string[] {
  return ["compose.yaml", ...variants.map((name) => `containers/${name}.yaml`)].flatMap((file) => ["-f", file]);
}

/** Runs docker-compose to its end, in a project of this process, with ports that the engine picks. */
async function compose(...args: string[]): Promise<Program> {
  const ports = { HUB_PORT: "0", HTTP_PORT: "0", BROKER_PORT: "0", CANFLEET_TAG: "test" };
  const patience = { COMPOSE_HTTP_TIMEOUT: "600" };
  const env = { ...process.env, ...ports, ...patience, COMPOSE_PROJECT_NAME: `${PROJECT_PREFIX}${process.pid}` };
  const program = await Program.run("docker-compose", args, { cwd: REPOSITORY, env });
  assert.equal(program.ended, 0, `docker-compose ${args.join(" ")}: ${program.stderr}`);
  return program;
}

describe("the compose files", { skip: skipWithoutCompose() }, () => {
  for (const variants of [[], ...VARIANTS.map((name) => [name]), VARIANTS]) {
    it(`are taken by docker-compose: ${["compose", ...variants].join(", ")}`, async () => {
      await compose(...files(...variants), "config", "-q");
    });
  }
});

describe("the compose files, started", { skip: skipWithoutCompose() || skipWithoutEngine() }, () => {
  before(prepareEngine);
  after(() => compose(...files("mosquitto"), "down", "-v", "-t", "5"));

  async function address(service: string, port: number): Promise<string> {
    const { lines } = await compose(...files("mosquitto"), "port", service, String(port));
    return lines[0]!;
  }

  async function framesOfBoth(url: string): Promise<void> {
    const fleet = await Fleet.connect(url);
    for (const edge of EDGES) {
      await fleet.ready(edge, "can0");
      await fleet.until(`${edge}/can0/status`, (report) => (report.frames?.received ?? 0) > 0);
    }
    await fleet.close();
  }

  it("a hub and two edges come up with one command, healthy and with live frames", async () => {
    await compose("up", "-d", "--no-build");
    await framesOfBoth(`mqtt://${await address("hub", 1883)}`);
    await until("three healthy containers", async () => (await healthyCount()) === 3, LIMIT_MS);
  });

  it("with Mosquitto as the broker the hub still shows both edges, and is found by Prometheus under its name", async () => {
    await compose(...files("mosquitto"), "up", "-d", "--no-build");
    await framesOfBoth(`mqtt://${await address("mosquitto", 1883)}`);
    const url = `http://${await address("hub", 8080)}`;
    await until("the hub to show both edges", async () => {
      // A hub that has just been made anew may not answer yet.
      const answer = await fetch(`${url}/metrics`, { headers: { host: "hub:8080" } }).catch(() => undefined);
      return answer?.ok === true && (await answer.text()).includes('canfleet_edges{state="online"} 2\n');
    });
  });

  async function healthyCount(): Promise<number> {
    const label = `label=com.docker.compose.project=${PROJECT_PREFIX}${process.pid}`;
    const { lines } = await Program.run("docker", ["ps", "-q", "--filter", label, "--filter", "health=healthy"]);
    return lines.length;
  }
});

it("every metric on the dashboard is one of the hub's", async (t) => {
  const hub = await Hub.start({ listen: { host: "127.0.0.1", port: 0 }, http: { host: "127.0.0.1", port: 0 } });
  t.after(() => hub.close());
  const metrics = await (await fetch(`${hub.httpUrl!}/metrics`)).text();
  const known = new Set([...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const dashboard = readFileSync(join(REPOSITORY, "containers/grafana/dashboards/canfleet.json"), "utf8");
  const { panels } = JSON.parse(dashboard) as { panels: { targets?: { expr: string }[] }[] };
  const used = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => expr.match(METRIC) ?? [])));
  assert.ok(used.size > 10);
  assert.deepEqual(
    [...used].filter((name) => !known.has(name)),
    [],
  );
});
