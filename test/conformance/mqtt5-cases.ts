import assert from "node:assert/strict";
import { packet, text, word } from "./packets.ts";
import { connect5, NONE, Peer5, properties, publish5, subscribe5, type Connect5 } from "./peer5.ts";

/** What a case may use: connections that end with it, and names of its own. */
export class Stage5 {
  readonly #port: number;
  readonly #name: string;
  readonly #peers: Peer5[] = [];

  constructor(port: number, name: string) {
    this.#port = port;
    this.#name = name;
  }

  topic(rest: string): string {
    return `${this.#name}/${rest}`;
  }

  async open(): Promise<Peer5> {
    const peer = await Peer5.open(this.#port);
    this.#peers.push(peer);
    return peer;
  }

  async connected(options: Connect5 = {}): Promise<Peer5> {
    const peer = await this.open();
    peer.send(connect5(options));
    await peer.expect("CONNACK 0x0");
    return peer;
  }

  end(): void {
    for (const peer of this.#peers) peer.end();
  }
}

export interface Case5 {
  statement: `MQTT-${string}`;
  title: string;
  run(stage: Stage5): Promise<void>;
  hub?: { deviates: string };
  mosquitto?: { deviates: string };
}

const PINGREQ = packet(0xc0);
const DISCONNECT_WITH_WILL = packet(0xe0, 4);

/** Packets that end the connection. The reason is a broker's choice in part, the end is not. */
const REFUSED: [statement: Case5["statement"], title: string, sent: Buffer, more?: Partial<Case5>][] = [
  ["MQTT-3.1.0-2", "a second CONNECT ends the connection", connect5()],
  ["MQTT-3.3.1-4", "PUBLISH with QoS 3 ends the connection", packet(0x36, "a", word(1), NONE)],
  ["MQTT-3.3.2-2", "a topic name with a wildcard ends the connection", publish5("a/+", "")],
  ["MQTT-3.3.2-8", "topic alias 0 ends the connection", publish5("a", "", { with: properties(0x23, word(0)) })],
  [
    "MQTT-3.3.4-6",
    "a subscription identifier from a client ends the connection",
    publish5("a", "", { with: properties(0x0b, 1) }),
    { mosquitto: { deviates: "it takes no notice" } },
  ],
  ["MQTT-3.8.1-1", "SUBSCRIBE with wrong flags ends the connection", packet(0x80, word(1), NONE, "a", 0)],
  ["MQTT-3.8.3-2", "SUBSCRIBE without a filter ends the connection", subscribe5(1)],
  ["MQTT-3.8.3-5", "reserved subscription options end the connection", subscribe5(1, ["a", 0x40])],
  ["MQTT-3.10.3-2", "UNSUBSCRIBE without a filter ends the connection", packet(0xa2, word(1), NONE)],
  ["MQTT-2.2.1-3", "packet id 0 ends the connection", subscribe5(0, ["a", 0])],
  ["MQTT-1.5.4-1", "text that is not UTF-8 ends the connection", packet(0x30, text(Buffer.of(0xff)), NONE)],
  [
    "MQTT-4.13.1-1",
    "a property that the packet cannot have ends the connection",
    publish5("a", "", { with: properties(0x24, 1) }),
  ],
];

const refusals = REFUSED.map(([statement, title, sent, more = {}]): Case5 => ({
  statement,
  title,
  ...more,
  run: async (stage) => {
    const peer = await stage.connected();
    peer.send(sent, PINGREQ);
    let said = await peer.next();
    // [MQTT-4.13.2-1]: DISCONNECT may say why.
    if (/^DISCONNECT 0x[89a]/.test(said)) said = await peer.next();
    assert.equal(said, "closed");
  },
}));

export const MQTT5_CASES: Case5[] = [
  ...refusals,
  {
    statement: "MQTT-3.1.2-2",
    title: "an unknown version is answered with CONNACK 0x84 or 0x01, and the end",
    run: async (stage) => {
      const peer = await stage.open();
      peer.send(connect5({ level: 6 }));
      // What has no version has the answer of the oldest.
      assert.match(await peer.next(), /^CONNACK 0x(84|1)$/);
      assert.equal(await peer.next(), "closed");
    },
  },
  {
    statement: "MQTT-3.1.3-7",
    title: "a client without an id is told the one that it got",
    run: async (stage) => {
      const peer = await stage.connected();
      assert.ok(peer.lastProperties.includes(0x12), "Assigned Client Identifier");
    },
  },
  {
    statement: "MQTT-3.1.4-3",
    title: "a connection that is taken over is closed, and may hear 0x8E before",
    run: async (stage) => {
      const first = await stage.connected({ id: stage.topic("one") });
      await stage.connected({ id: stage.topic("one") });
      let said = await first.next();
      if (said === "DISCONNECT 0x8e") said = await first.next();
      assert.equal(said, "closed");
    },
  },
  {
    statement: "MQTT-4.12.0-1",
    title: "an authentication method that is not offered is answered with 0x8C",
    run: async (stage) => {
      const peer = await stage.open();
      peer.send(connect5({ with: properties(0x15, "none") }));
      await peer.expect("CONNACK 0x8c", "closed");
    },
  },
  {
    statement: "MQTT-3.1.2-24",
    title: "a message above the client's maximum packet size is not sent, and the next one is",
    run: async (stage) => {
      const peer = await stage.connected({ with: properties(0x27, word(0), word(60)) });
      peer.send(subscribe5(1, [stage.topic("#"), 0]));
      await peer.expect("SUBACK 0x0");
      const other = await stage.connected();
      other.send(publish5(stage.topic("a"), "x".repeat(60)), publish5(stage.topic("a"), "y"));
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} y`);
    },
  },
  {
    statement: "MQTT-3.8.3-3",
    title: "with No Local a client does not get what it published",
    run: async (stage) => {
      const [peer, other] = [await stage.connected(), await stage.connected()];
      peer.send(subscribe5(1, [stage.topic("#"), 0x04]));
      await peer.expect("SUBACK 0x0");
      peer.send(publish5(stage.topic("own"), ""), PINGREQ);
      await peer.expect("PINGRESP");
      other.send(publish5(stage.topic("other"), ""));
      await peer.expect(`PUBLISH q0 ${stage.topic("other")} `);
    },
  },
  {
    statement: "MQTT-3.3.1-9",
    title: "Retain Handling 0 sends retained messages at each SUBSCRIBE",
    run: async (stage) => {
      const peer = await retained(stage);
      const kept = `PUBLISH q0 retained ${stage.topic("a")} kept`;
      await subscribed(peer, stage, 0x00, kept);
      await subscribed(peer, stage, 0x00, kept);
    },
  },
  {
    statement: "MQTT-3.3.1-10",
    title: "Retain Handling 1 sends them to a new subscription only",
    run: async (stage) => {
      const peer = await retained(stage);
      await subscribed(peer, stage, 0x10, `PUBLISH q0 retained ${stage.topic("a")} kept`);
      await subscribed(peer, stage, 0x10);
    },
  },
  {
    statement: "MQTT-3.3.1-11",
    title: "Retain Handling 2 sends none",
    run: async (stage) => {
      await subscribed(await retained(stage), stage, 0x20);
    },
  },
  {
    statement: "MQTT-3.3.1-13",
    title: "Retain As Published keeps the flag",
    hub: { deviates: "such a filter is refused with 0x83" },
    run: async (stage) => {
      const peer = await stage.connected();
      peer.send(subscribe5(1, [stage.topic("#"), 0x08]));
      await peer.expect("SUBACK 0x0");
      peer.send(publish5(stage.topic("a"), "x", { retain: true }));
      await peer.expect(`PUBLISH q0 retained ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-3.3.2-17",
    title: "user properties are handed on",
    hub: { deviates: "it hands on no properties" },
    run: async (stage) => {
      const peer = await stage.connected();
      peer.send(subscribe5(1, [stage.topic("#"), 0]));
      await peer.expect("SUBACK 0x0");
      peer.send(publish5(stage.topic("a"), "x", { with: properties(0x26, "k", "v") }));
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} x`);
      assert.equal(peer.lastProperties.toString("hex"), "2600016b000176");
    },
  },
  {
    statement: "MQTT-3.9.3-1",
    title: "SUBACK has a reason code for each filter, in their order",
    run: async (stage) => {
      const peer = await stage.connected();
      peer.send(subscribe5(1, [stage.topic("a"), 2], [stage.topic("b"), 0], [stage.topic("c"), 1]));
      await peer.expect("SUBACK 0x2 0x0 0x1");
    },
  },
  {
    statement: "MQTT-3.11.3-1",
    title: "UNSUBACK has a reason code for each filter, 0x11 where there was none",
    run: async (stage) => {
      const peer = await stage.connected();
      peer.send(subscribe5(1, [stage.topic("a"), 0]));
      await peer.expect("SUBACK 0x0");
      peer.send(packet(0xa2, word(2), NONE, stage.topic("a"), stage.topic("b")));
      await peer.expect("UNSUBACK 0x0 0x11");
    },
  },
  {
    statement: "MQTT-4.3.3-8",
    title: "QoS 2 goes its way with and without reason codes",
    run: async (stage) => {
      const peer = await stage.connected();
      peer.send(publish5(stage.topic("a"), "x", { qos: 2 }));
      assert.match(await peer.next(), /^PUBREC 0x(0|10)$/);
      peer.send(packet(0x62, word(7), 0, NONE));
      await peer.expect("PUBCOMP 0x0");
    },
  },
  {
    statement: "MQTT-3.14.4-3",
    title: "DISCONNECT 0x00 discards the will, 0x04 has it published",
    run: async (stage) => {
      const watcher = await stage.connected();
      watcher.send(subscribe5(1, [stage.topic("#"), 0]));
      await watcher.expect("SUBACK 0x0");
      const will = (name: string): Connect5 => ({ will: { topic: stage.topic(name), message: "w" } });
      const quiet = await stage.connected(will("quiet"));
      quiet.send(packet(0xe0));
      await quiet.expect("closed");
      (await stage.connected(will("loud"))).send(DISCONNECT_WITH_WILL);
      await watcher.expect(`PUBLISH q0 ${stage.topic("loud")} w`);
    },
  },
];

/** A connection, and a message that is kept on `a`. */
async function retained(stage: Stage5): Promise<Peer5> {
  const peer = await stage.connected();
  peer.send(publish5(stage.topic("a"), "kept", { qos: 1, retain: true }));
  assert.match(await peer.next(), /^PUBACK 0x(0|10)$/);
  return peer;
}

/** Subscribes and expects these packets and no others; "none" is shown by a message that comes next. */
async function subscribed(peer: Peer5, stage: Stage5, options: number, ...expected: string[]): Promise<void> {
  peer.send(subscribe5(1, [stage.topic("#"), options]));
  await peer.expect("SUBACK 0x0", ...expected);
  peer.send(publish5(stage.topic("end"), ""));
  await peer.expect(`PUBLISH q0 ${stage.topic("end")} `);
}
