/**
 * Many edges in one process: `node scale-fleet.js '<ScaleFleetOptions as JSON>'`. Says `{ready}` when all are connected.
 * Commands on stdin: `start`, `count`, `stop`; each is answered by a report.
 */
import { createInterface } from "node:readline";
import { Edge } from "@canfleet/edge";
import { LightEdge } from "./scale-edge.ts";
import { PacedInterface } from "./scale-interface.ts";
import { makeTemplates, type Pace } from "./scale-traffic.ts";

export interface ScaleFleetOptions {
  url: string;
  /** Number of the first edge: names go on over several processes. */
  first: number;
  count: number;
  /** Edges of the whole fleet, over whose number their beats are spread. */
  fleet: number;
  pace: Pace;
  /** Real edges instead of light ones: `Edge` with a bus that makes the same traffic. */
  real: boolean;
}

export interface ScaleFleetReport {
  frames: number;
  messages: number;
  held: number;
  unacknowledged: number;
}

const BUSES = ["can0", "can1"];
/** Connections that are begun before the next ones, as a fleet that comes back at once is not what is measured. */
const CONNECTING = 25;

const options = JSON.parse(process.argv[2]!) as ScaleFleetOptions;
const { url, first, count, fleet, pace } = options;
const names = Array.from({ length: count }, (_, n) => `scale-${first + n}`);
const light: LightEdge[] = [];
const interfaces: PacedInterface[] = [];

async function startReal(): Promise<void> {
  for (const name of names) {
    const buses = BUSES.map((channel) => ({ channel }));
    const batch = { maxAgeMs: pace.batchMs };
    await Edge.start(
      { name, hub: url, buses, batch },
      {
        openInterface: ({ name: channel }) => {
          const paced = new PacedInterface(channel, pace.framesPerSecond);
          interfaces.push(paced);
          return paced;
        },
      },
    );
  }
}

async function startLight(): Promise<void> {
  for (const name of names) light.push(new LightEdge(url, name, BUSES, 1.7e15));
  for (let n = 0; n < count; n += CONNECTING) {
    await Promise.all(light.slice(n, n + CONNECTING).map((edge) => edge.connect()));
  }
}

function start(): void {
  const templates = makeTemplates(pace, 1.7e15);
  light.forEach((edge, n) => edge.start((1_000 * (first + n)) / fleet, pace, templates));
  for (const each of interfaces) each.isRunning = true;
}

function stop(): void {
  for (const each of [...light, ...interfaces]) each.stop();
}

function report(): ScaleFleetReport {
  const sum = (of: (edge: LightEdge) => number): number => light.reduce((total, edge) => total + of(edge), 0);
  return {
    frames: sum(({ frames }) => frames) + interfaces.reduce((total, { produced }) => total + produced, 0),
    messages: sum(({ messages }) => messages),
    held: sum(({ held }) => held),
    unacknowledged: sum(({ unacknowledged }) => unacknowledged),
  };
}

const say = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);
await (options.real ? startReal() : startLight());
createInterface({ input: process.stdin }).on("line", (command) => {
  if (command === "start") start();
  if (command === "stop") stop();
  say(report());
});
process.once("SIGTERM", () => process.exit(0));
say({ ready: true });
