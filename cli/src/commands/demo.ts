import { Edge } from "@canfleet/edge";
import { Hub } from "@canfleet/hub";
import { MqttBus } from "@canfleet/sdk";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { hubConfig, hubLog } from "../hub-options.ts";
import { LiveSample } from "../live-sample.ts";
import { serve, type Service } from "../service.ts";
import type { DEMO } from "../table/run.ts";

/** Simulated machines of the demonstration: edge names, and the models behind their can0. */
const EDGES = ["car", "boat"] as const;

/** `canfleet demo` */
export async function runDemo({ options }: Arguments<typeof DEMO>, context: Context): Promise<number> {
  return serve(() => start(options, context), context);
}

async function start(options: Arguments<typeof DEMO>["options"], { terminal }: Context): Promise<Service> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) await closer();
  };
  try {
    const hub = await Hub.start(hubConfig(options, {}, hubLog(terminal)));
    closers.push(() => hub.close());
    const edges = await Promise.all(EDGES.map((name) => startEdge(name, hub.mqttUrl)));
    closers.push(async () => {
      await Promise.all(edges.map((edge) => edge.close()));
    });
    terminal.print(whatRuns(hub));
    if (!options.quiet) {
      const fleet = await MqttBus.connect(hub.mqttUrl, { edge: "+", bus: "+" });
      closers.push(() => fleet.shutdown());
      const sample = new LiveSample("boat/can0".length, (line) => terminal.write(`${line}\n`));
      fleet.on("batch", (batch, { channel }) => sample.take(batch, channel));
      closers.push(() => {
        sample.stop();
        return Promise.resolve();
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

function startEdge(name: (typeof EDGES)[number], hub: string): Promise<Edge> {
  return Edge.start({ name, hub, buses: [{ channel: `sim:${name}`, name: "can0", send: "all" }] });
}

function whatRuns(hub: Hub): string {
  const isDefault = hub.mqttUrl === "mqtt://127.0.0.1:1883";
  const at = isDefault ? "" : ` --hub ${hub.mqttUrl}`;
  const { port } = new URL(hub.mqttUrl);
  const mosquitto = `mosquitto_sub -v${isDefault ? "" : ` -p ${port}`} -t 'canfleet/+/state'`;
  return [
    "canfleet demo: a hub and two simulated edges, car and boat",
    "",
    `  MQTT  ${hub.mqttUrl}`,
    ...(hub.httpUrl === undefined ? [] : [`  page  ${hub.httpUrl}`]),
    "",
    "Try, in another terminal:",
    `  npx canfleet ls${at}`,
    `  npx canfleet dump boat/can0${at}`,
    `  npx canfleet send car/can0 123#DEADBEEF --wait${at}`,
    `  ${mosquitto}`,
    "",
    "A few of the frames as they come (Ctrl-C ends):",
    "",
  ].join("\n");
}
