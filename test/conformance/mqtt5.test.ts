import assert, { AssertionError } from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { connectAsync } from "mqtt";
import { until } from "../e2e/support/until.ts";
import { MQTT5_CASES, Stage5 } from "./mqtt5-cases.ts";
import { mosquittoMissing, startHub, startMosquitto, type Target } from "./stage.ts";

const BROKERS = [
  { name: "hub", start: startHub, missing: undefined },
  { name: "mosquitto", start: startMosquitto, missing: mosquittoMissing() },
] as const;

for (const { name, start, missing } of BROKERS) {
  describe(`MQTT 5, ${name}`, { concurrency: 16, skip: missing ?? false }, () => {
    let target: Target;
    before(async () => {
      target = await start();
    });
    after(() => target.close());

    for (const [index, each] of MQTT5_CASES.entries()) {
      const deviation = each[name]?.deviates;
      const title = `[${each.statement}] ${each.title}`;
      it(deviation === undefined ? title : `${title}: not so, ${deviation}`, async () => {
        const stage = new Stage5(target.port, `five${index}`);
        try {
          if (deviation === undefined) await each.run(stage);
          else await assert.rejects(each.run(stage), AssertionError, "the deviation is gone");
        } finally {
          stage.end();
        }
      });
    }
  });
}

const PYTHON = "/usr/bin/python3";
const noPaho =
  existsSync(PYTHON) && spawnSync(PYTHON, ["-c", "import paho.mqtt.client"]).status === 0
    ? false
    : "paho-mqtt for Python is not installed";
const noMosquittoClients = existsSync("/usr/bin/mosquitto_sub") ? false : "mosquitto_sub is not installed";

/** Subscribes to `from`, publishes three messages to `to` at QoS 0 to 2, prints what comes. Arguments: port. */
const PAHO = `
import sys
import paho.mqtt.client as mqtt
def on_connect(client, userdata, flags, reason, properties):
    print("connected", reason.value, flush=True)
    client.subscribe("to/paho", options=mqtt.SubscribeOptions(qos=2, noLocal=True))
def on_subscribe(client, userdata, mid, codes, properties):
    print("subscribed", [code.value for code in codes], flush=True)
    for qos in range(3):
        client.publish("from/paho", f"qos {qos}", qos=qos)
def on_message(client, userdata, message):
    print("message", message.payload.decode(), message.qos, flush=True)
    client.disconnect()
client = getattr(mqtt, "CallbackAPIVersion", None) and mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, protocol=mqtt.MQTTv5) or mqtt.Client(protocol=mqtt.MQTTv5)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", int(sys.argv[1]), clean_start=True)
client.loop_forever()
`;

describe("MQTT 5 clients that are not ours, at a hub", { timeout: 120_000 }, () => {
  let target: Target;
  before(async () => {
    target = await startHub();
  });
  after(() => target.close());

  async function subscriptionsOf(clientId: string): Promise<number> {
    const page = target.webSocketUrl.replace("ws:", "http:").replace("/mqtt", "/api/clients");
    const { clients } = (await (await fetch(page)).json()) as { clients: { id: string; subscriptions: number }[] };
    return clients.find(({ id }) => id === clientId)?.subscriptions ?? 0;
  }

  it("mosquitto_sub and mosquitto_pub", { skip: noMosquittoClients }, async (t) => {
    const common = ["-V", "5", "-h", "127.0.0.1", "-p", String(target.port)];
    const sub = spawn("mosquitto_sub", [...common, "-i", "five", "-q", "2", "-t", "stranger/#", "-C", "3", "-v"]);
    t.after(() => sub.kill("SIGKILL"));
    const lines: string[] = [];
    createInterface({ input: sub.stdout }).on("line", (line) => lines.push(line));
    // What it prints waits in its own buffer until it ends.
    await until("it is subscribed", async () => (await subscriptionsOf("five")) === 1);
    for (const qos of ["0", "1", "2"]) {
      const pub = [
        "-q",
        qos,
        "-t",
        `stranger/${qos}`,
        "-m",
        `message ${qos}`,
        "-D",
        "publish",
        "user-property",
        "a",
        "b",
      ];
      await promisify(execFile)("mosquitto_pub", [...common, ...pub]);
    }
    await until("it has ended with all of them", () => lines.length === 3);
    assert.deepEqual(lines, ["stranger/0 message 0", "stranger/1 message 1", "stranger/2 message 2"]);
  });

  it("paho-mqtt for Python", { skip: noPaho }, async (t) => {
    const url = `mqtt://127.0.0.1:${target.port}`;
    const ours = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0 });
    t.after(() => ours.endAsync(true));
    const heard: string[] = [];
    ours.on("message", (_topic, payload) => heard.push(String(payload)));
    await ours.subscribeAsync("from/paho", { qos: 2 });
    const paho = spawn(PYTHON, ["-c", PAHO, String(target.port)]);
    t.after(() => paho.kill("SIGKILL"));
    const lines: string[] = [];
    let errors = "";
    paho.stderr.on("data", (chunk) => (errors += String(chunk)));
    createInterface({ input: paho.stdout }).on("line", (line) => lines.push(line));
    await until("its three messages have come", () => {
      assert.equal(paho.exitCode, null, errors);
      return heard.length === 3;
    });
    await ours.publishAsync("to/paho", "hello", { qos: 2 });
    await until("it has ended", () => paho.exitCode !== null && lines.length >= 3);
    assert.deepEqual(heard.sort(), ["qos 0", "qos 1", "qos 2"]);
    assert.deepEqual(lines, ["connected 0", "subscribed [2]", "message hello 2"]);
    assert.equal(paho.exitCode, 0, errors);
  });
});
