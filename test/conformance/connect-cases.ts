import assert from "node:assert/strict";
import { connect, packet, PINGREQ, publish, subscribe, text, word, type ConnectOptions } from "./packets.ts";
import type { Case } from "./stage.ts";

const LAST_WILL = { topic: "will", message: "gone" };
const notUtf8 = Buffer.of(0x61, 0xff);

/** First packets that end the connection without an answer. */
const REFUSED: [statement: Case["statement"], title: string, first: Buffer][] = [
  ["MQTT-3.1.0-1", "PINGREQ as the first packet ends the connection", PINGREQ],
  ["MQTT-3.1.0-1", "PUBLISH as the first packet ends the connection", publish("a", "b")],
  ["MQTT-3.1.0-1", "SUBSCRIBE as the first packet ends the connection", subscribe(1, "a", 0)],
  [
    "MQTT-2.2.2-2",
    "CONNECT with flags in its first byte ends the connection",
    Buffer.concat([Buffer.of(0x11), connect().subarray(1)]),
  ],
  ["MQTT-3.1.2-1", "another protocol name ends the connection", connect({ protocol: "MQTX" })],
  ["MQTT-3.1.2-3", "the reserved connect flag ends the connection", connect({ flipFlags: 1 })],
  ["MQTT-3.1.2-9", "a will flag without a will ends the connection", connect({ flipFlags: 4 })],
  ["MQTT-3.1.2-11", "a will without its flag ends the connection", connect({ will: LAST_WILL, flipFlags: 4 })],
  ["MQTT-3.1.2-13", "a will QoS without a will ends the connection", connect({ flipFlags: 8 })],
  ["MQTT-3.1.2-14", "will QoS 3 ends the connection", connect({ will: { ...LAST_WILL, qos: 3 } })],
  ["MQTT-3.1.2-15", "will retain without a will ends the connection", connect({ flipFlags: 0x20 })],
  ["MQTT-3.1.2-18", "a user name without its flag ends the connection", connect({ user: "me", flipFlags: 0x80 })],
  ["MQTT-3.1.2-19", "a user flag without a user name ends the connection", connect({ flipFlags: 0x80 })],
  [
    "MQTT-3.1.2-20",
    "a password without its flag ends the connection",
    connect({ user: "me", password: "p", flipFlags: 0x40 }),
  ],
  ["MQTT-3.1.2-21", "a password flag without a password ends the connection", connect({ user: "me", flipFlags: 0x40 })],
  ["MQTT-3.1.2-22", "a password without a user name ends the connection", connect({ password: "p" })],
  ["MQTT-3.1.3-3", "CONNECT without a client id field ends the connection", packet(0x10, "MQTT", 4, 2, word(0))],
  ["MQTT-3.1.3-4", "a client id that is not UTF-8 ends the connection", connect({ id: notUtf8 })],
  [
    "MQTT-3.1.3-10",
    "a will topic that is not UTF-8 ends the connection",
    packet(0x10, "MQTT", 4, 6, word(0), "", text(notUtf8), "m"),
  ],
  ["MQTT-3.1.3-11", "a user name that is not UTF-8 ends the connection", connect({ user: notUtf8 })],
  ["MQTT-3.1.4-1", "a CONNECT that is cut off ends the connection without CONNACK", packet(0x10, "MQTT", 4)],
];

/** Clients that have to be let in. */
const ACCEPTED: [statement: Case["statement"], title: string, options: (id: string) => ConnectOptions][] = [
  ["MQTT-3.1.3-5", "a client id of 23 letters and digits is taken", (id) => ({ id: id.padEnd(23, "aZ09") })],
  ["MQTT-3.1.3-5", "a client id of one letter is taken", () => ({ id: "Q" })],
  ["MQTT-3.1.3-6", "an empty client id with a clean session is taken", () => ({ id: "" })],
  [
    "MQTT-3.1.3-1",
    "client id, will, user name and password are read in this order",
    (id) => ({ id, will: LAST_WILL, user: "me", password: "p" }),
  ],
];

export const CONNECT_CASES: Case[] = [
  ...REFUSED.map(([statement, title, first]): Case => ({
    statement,
    title,
    run: async (stage) => {
      const peer = await stage.open();
      assert.deepEqual(await peer.expectRefusal(first), [], "no answer");
    },
  })),
  ...ACCEPTED.map(([statement, title, options]): Case => ({
    statement,
    title,
    run: async (stage) => {
      const peer = await stage.join(options(stage.id()));
      await peer.expectNothing();
    },
  })),
  {
    statement: "MQTT-3.1.0-2",
    title: "a second CONNECT ends the connection",
    run: async (stage) => {
      const peer = await stage.join({ id: stage.id() });
      assert.deepEqual(await peer.expectRefusal(connect({ id: stage.id() })), []);
    },
  },
  {
    statement: "MQTT-3.1.2-2",
    title: "protocol level 6 is answered with CONNACK 1, then the connection ends",
    run: async (stage) => {
      const peer = await stage.open();
      assert.deepEqual(await peer.expectRefusal(connect({ level: 6 })), ["CONNACK present=0 code=1"]);
    },
  },
  {
    statement: "MQTT-3.1.2-2",
    title: "level 4 with the bit 0x80 is a bridge's, to which its own messages do not come back",
    run: async (stage) => {
      const topic = stage.topic("a");
      const bridge = await stage.subscribed([topic, 1], { id: stage.id(), level: 0x84 });
      bridge.send(publish(topic, "its own", { qos: 1 }));
      await bridge.expect("PUBACK 1");
      const other = await stage.join();
      other.send(publish(topic, "another's", { qos: 1 }));
      await bridge.expect(`PUBLISH q1 ${topic} another's`);
    },
  },
  {
    statement: "MQTT-3.1.3-8",
    title: "an empty client id with a kept session is answered with CONNACK 2, then the connection ends",
    run: async (stage) => {
      const peer = await stage.open();
      assert.deepEqual(await peer.expectRefusal(connect({ clean: false })), ["CONNACK present=0 code=2"]);
    },
  },
  {
    statement: "MQTT-3.1.2-24",
    title: "a client that is silent for one and a half keepalives is disconnected",
    run: async (stage) => {
      const peer = await stage.join({ keepalive: 1 });
      await peer.expect("closed");
    },
  },
  {
    statement: "MQTT-3.1.4-2",
    title: "a second client of the same id ends the connection of the first",
    run: async (stage) => {
      const first = await stage.join({ id: stage.id() });
      const second = await stage.join({ id: stage.id() });
      await first.expect("closed");
      await second.expectNothing();
    },
  },
  {
    statement: "MQTT-3.1.4-5",
    title: "what follows a refused CONNECT is not processed",
    run: async (stage) => {
      const witness = await stage.subscribed([stage.topic("a"), 0]);
      const peer = await stage.open();
      await peer.expectRefusal(connect({ level: 6 }), publish(stage.topic("a"), "from a refused client"));
      await stage.expectNothingPublished(witness);
    },
  },
  {
    statement: "MQTT-3.2.0-1",
    title: "CONNACK comes before everything else, even for what was sent with CONNECT",
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.open();
      peer.send(connect({ id: stage.id() }), subscribe(1, topic, 0));
      await peer.expect("CONNACK present=0 code=0", "SUBACK 1: 0");
      peer.send(publish(topic, "x"));
      await peer.expect(`PUBLISH q0 ${topic} x`);
    },
  },
  {
    statement: "MQTT-3.1.2-8",
    title: "a will is published when the connection breaks",
    run: async (stage) => {
      const topic = stage.topic("will");
      const witness = await stage.subscribed([topic, 1]);
      const peer = await stage.join({ will: { topic, message: "gone", qos: 1 } });
      await peer.drop();
      await witness.expect(`PUBLISH q1 ${topic} gone`);
    },
  },
  {
    statement: "MQTT-3.1.2-8",
    title: "a will is published when a packet at fault ends the connection",
    run: async (stage) => {
      const topic = stage.topic("will");
      const witness = await stage.subscribed([topic, 0]);
      const peer = await stage.join({ will: { topic, message: "gone" } });
      await peer.expectRefusal(packet(0xf0));
      await witness.expect(`PUBLISH q0 ${topic} gone`);
    },
  },
  {
    statement: "MQTT-3.1.2-8",
    title: "a will is published when a client of the same id takes over",
    run: async (stage) => {
      const topic = stage.topic("will");
      const witness = await stage.subscribed([topic, 0]);
      await stage.join({ id: stage.id(), will: { topic, message: "gone" } });
      await stage.join({ id: stage.id() });
      await witness.expect(`PUBLISH q0 ${topic} gone`);
    },
  },
  {
    statement: "MQTT-3.1.2-10",
    title: "a will is not published after DISCONNECT",
    run: async (stage) => {
      const topic = stage.topic("will");
      const witness = await stage.subscribed([topic, 0]);
      await stage.leave(await stage.join({ will: { topic, message: "gone" } }));
      await stage.expectNothingPublished(witness);
    },
  },
  {
    statement: "MQTT-3.14.4-3",
    title: "DISCONNECT discards the will for good: not even a later fault publishes it",
    run: async (stage) => {
      const topic = stage.topic("will");
      const witness = await stage.subscribed([topic, 0]);
      const peer = await stage.join({ will: { topic, message: "gone" } });
      peer.send(Buffer.concat([packet(0xe0), packet(0xf0)]));
      await peer.expect("closed");
      await stage.expectNothingPublished(witness);
    },
  },
  {
    statement: "MQTT-3.1.2-12",
    title: "without a will none is published",
    run: async (stage) => {
      const id = stage.id();
      const topic = stage.topic("will");
      const witness = await stage.subscribed([stage.topic("#"), 0]);
      await stage.leave(await stage.join({ id, will: { topic, message: "old" } }));
      const peer = await stage.join({ id });
      await peer.drop();
      await stage.expectNothingPublished(witness, await stage.join({ id }));
    },
  },
  ...[false, true].map((retain): Case => ({
    statement: retain ? "MQTT-3.1.2-17" : "MQTT-3.1.2-16",
    title: retain ? "a will with retain is retained" : "a will without retain is not retained",
    run: async (stage) => {
      const topic = stage.topic("will");
      const witness = await stage.subscribed([topic, 0]);
      const peer = await stage.join({ will: { topic, message: "gone", retain } });
      await peer.drop();
      await witness.expect(`PUBLISH q0 ${topic} gone`);
      const late = await stage.subscribed([topic, 0]);
      if (retain) await late.expect(`PUBLISH q0 ${topic} gone retain`);
      else await stage.expectNothingPublished(late);
    },
  })),
];
