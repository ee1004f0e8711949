import { connect, packet, PINGREQ, puback, publish, pubrel, subscribe, text, unsubscribe, word } from "./packets.ts";
import type { Case } from "./stage.ts";

const bytes = (...values: number[]): Buffer => text(Buffer.from(values));

/** Packets that end the connection of an accepted client. */
const REFUSED: [statement: Case["statement"], title: string, ...packets: Buffer[]][] = [
  ["MQTT-1.5.3-1", "a surrogate in a topic name ends the connection", packet(0x30, bytes(0x61, 0xed, 0xa0, 0x80))],
  ["MQTT-1.5.3-1", "an overlong sequence in a filter ends the connection", subscribe(1, bytes(0xc0, 0xaf), 0)],
  ["MQTT-1.5.3-1", "a sequence that is cut off ends the connection", packet(0x30, bytes(0x61, 0xe2, 0x82))],
  ["MQTT-1.5.3-2", "U+0000 in a topic name ends the connection", packet(0x30, bytes(0x61, 0, 0x62))],
  ["MQTT-1.5.3-2", "U+0000 in a filter ends the connection", subscribe(1, bytes(0x61, 0), 0)],
  ["MQTT-2.2.2-2", "PUBACK with flags ends the connection", packet(0x41, word(1))],
  ["MQTT-2.2.2-2", "PUBREC with flags ends the connection", packet(0x52, word(1))],
  ["MQTT-2.2.2-2", "PUBCOMP with flags ends the connection", packet(0x71, word(1))],
  ["MQTT-2.2.2-2", "PINGREQ with flags ends the connection", packet(0xc1)],
  ["MQTT-2.3.1-1", "PUBLISH of QoS 1 with packet id 0 ends the connection", publish("a", "", { qos: 1, id: 0 })],
  ["MQTT-2.3.1-1", "PUBLISH of QoS 2 with packet id 0 ends the connection", publish("a", "", { qos: 2, id: 0 })],
  ["MQTT-2.3.1-1", "SUBSCRIBE with packet id 0 ends the connection", subscribe(0, "a", 0)],
  ["MQTT-2.3.1-1", "UNSUBSCRIBE with packet id 0 ends the connection", unsubscribe(0, "a")],
  ["MQTT-3.3.1-2", "DUP at QoS 0 ends the connection", publish("a", "", { dup: true })],
  ["MQTT-3.3.1-4", "PUBLISH of QoS 3 ends the connection", publish("a", "", { qos: 3 })],
  ["MQTT-3.3.2-1", "PUBLISH without a topic field ends the connection", packet(0x30)],
  ["MQTT-3.3.2-2", "PUBLISH to a name with + ends the connection", publish("a/+", "")],
  ["MQTT-3.3.2-2", "PUBLISH to a name with # ends the connection", publish("a/#", "")],
  ["MQTT-3.6.1-1", "PUBREL without its flags ends the connection", packet(0x60, word(1))],
  ["MQTT-3.8.1-1", "SUBSCRIBE without its flags ends the connection", packet(0x80, word(1), "a", 0)],
  ["MQTT-3.8.3-1", "a filter that is not UTF-8 ends the connection", subscribe(1, bytes(0xff), 0)],
  ["MQTT-3.8.3-3", "SUBSCRIBE without a filter ends the connection", subscribe(1)],
  ["MQTT-3-8.3-4", "SUBSCRIBE with QoS 3 ends the connection", subscribe(1, "a", 3)],
  ["MQTT-3-8.3-4", "SUBSCRIBE with a reserved bit ends the connection", subscribe(1, "a", 0x41)],
  ["MQTT-3.10.1-1", "UNSUBSCRIBE without its flags ends the connection", packet(0xa0, word(1), "a")],
  ["MQTT-3.10.3-1", "UNSUBSCRIBE of what is not UTF-8 ends the connection", unsubscribe(1, bytes(0xff))],
  ["MQTT-3.10.3-2", "UNSUBSCRIBE without a filter ends the connection", unsubscribe(1)],
  ["MQTT-3.14.1-1", "DISCONNECT with flags ends the connection as a fault", packet(0xe1)],
  ["MQTT-4.7.3-1", "an empty topic name ends the connection", publish("", "")],
  ["MQTT-4.7.3-1", "an empty filter ends the connection", subscribe(1, "", 0)],
  ["MQTT-4.7.1-2", "# that is not the last level ends the connection", subscribe(1, "a/#/b", 0)],
  ["MQTT-4.7.1-2", "# that is not a whole level ends the connection", subscribe(1, "a#", 0)],
  ["MQTT-4.7.1-3", "+ that is not a whole level ends the connection", subscribe(1, "a+/b", 0)],
  ["MQTT-4.8.0-1", "a packet of type 0 ends the connection", packet(0x00)],
  ["MQTT-4.8.0-1", "a packet of type 15 ends the connection", packet(0xf0)],
  ["MQTT-4.8.0-1", "a CONNACK from a client ends the connection", packet(0x20, 0, 0)],
  ["MQTT-4.8.0-1", "a SUBACK from a client ends the connection", packet(0x90, word(1), 0)],
  ["MQTT-4.8.0-1", "a PINGRESP from a client ends the connection", packet(0xd0)],
  ["MQTT-4.8.0-1", "a length of five bytes ends the connection", Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80, 1)],
  ["MQTT-4.8.0-1", "a topic longer than its packet ends the connection", packet(0x30, Buffer.of(0, 9, 0x61))],
];

/** Why Mosquitto 2.0.11 takes some of them. */
const NO_FLAGS = "it does not look at the flags of this packet";
const SERVERS_OWN = "it passes over some packets that only servers send";
const MOSQUITTO: { [title: string]: string } = {
  "PUBACK with flags ends the connection": NO_FLAGS,
  "PUBREC with flags ends the connection": NO_FLAGS,
  "PUBCOMP with flags ends the connection": NO_FLAGS,
  "PINGREQ with flags ends the connection": NO_FLAGS,
  "DUP at QoS 0 ends the connection": "it does not look at DUP there",
  "a SUBACK from a client ends the connection": SERVERS_OWN,
  "a PINGRESP from a client ends the connection": SERVERS_OWN,
};

export const FIELD_CASES: Case[] = [
  ...REFUSED.map(([statement, title, ...packets]): Case => {
    const deviates = MOSQUITTO[title];
    return {
      statement,
      title,
      run: async (stage) => {
        const peer = await stage.join();
        await peer.expectRefusal(...packets);
      },
      ...(deviates === undefined ? {} : { mosquitto: { deviates } }),
    };
  }),
  {
    statement: "MQTT-1.5.3-3",
    title: "U+FEFF in a topic is a character like any other",
    run: async (stage) => {
      const topic = stage.topic("\ufeffa");
      const peer = await stage.subscribed([topic, 0]);
      peer.send(publish(stage.topic("a"), "without"), publish(topic, "with"));
      await peer.expect(`PUBLISH q0 ${topic} with`);
    },
  },
  {
    statement: "MQTT-2.2.2-1",
    title: "what the broker sends has the flags of the table",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(1, stage.topic("a"), 2), unsubscribe(2, stage.topic("a")), PINGREQ);
      // `describe` names a first byte that is not that of the table.
      await peer.expectAll("SUBACK 1: 2", "UNSUBACK 2", "PINGRESP");
    },
  },
  {
    statement: "MQTT-2.3.1-5",
    title: "PUBLISH of QoS 0 has no packet id",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 1]);
      peer.send(publish(stage.topic("a"), "payload"));
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} payload`);
    },
  },
  {
    statement: "MQTT-2.3.1-6",
    title: "PUBACK, PUBREC and PUBCOMP have the id of what they answer",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(publish(stage.topic("a"), "", { qos: 1, id: 0xabcd }));
      await peer.expect(`PUBACK 43981`);
      peer.send(publish(stage.topic("a"), "", { qos: 2, id: 0x1234 }));
      await peer.expect(`PUBREC 4660`);
      peer.send(pubrel(0x1234));
      await peer.expect(`PUBCOMP 4660`);
    },
  },
  {
    statement: "MQTT-2.3.1-7",
    title: "SUBACK and UNSUBACK have the id of what they answer",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(65_535, stage.topic("a"), 0));
      await peer.expect("SUBACK 65535: 0");
      peer.send(unsubscribe(256, stage.topic("a")));
      await peer.expect("UNSUBACK 256");
    },
  },
  {
    statement: "MQTT-2.3.1-4",
    title: "messages that wait for their acknowledgement have different ids, none of them 0",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 1]);
      const publisher = await stage.join();
      const ids = new Set<number>([0]);
      for (let id = 1; id <= 5; id++) publisher.send(publish(stage.topic("a"), String(id), { qos: 1, id }));
      for (let id = 1; id <= 5; id++) {
        await peer.expect(`PUBLISH q1 ${stage.topic("a")} ${id}`);
        ids.add(peer.id);
      }
      if (ids.size !== 6) await peer.expect("ids that differ");
      peer.send(...[...ids].slice(1).map(puback));
      await peer.expectNothing();
    },
  },
  {
    statement: "MQTT-3.12.4-1",
    title: "PINGREQ is answered with PINGRESP",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(PINGREQ, PINGREQ);
      await peer.expect("PINGRESP", "PINGRESP");
    },
  },
  {
    statement: "MQTT-4.2.0-1",
    title: "packets are read from the stream however it is cut",
    run: async (stage) => {
      const peer = await stage.open();
      for (const byte of connect({ id: stage.id() })) peer.send(Buffer.of(byte));
      await peer.expect("CONNACK present=0 code=0");
      for (const byte of subscribe(1, stage.topic("a"), 1)) peer.send(Buffer.of(byte));
      await peer.expect("SUBACK 1: 1");
    },
  },
  {
    statement: "MQTT-4.8.0-1",
    title: "a fault of one client ends no other connection",
    run: async (stage) => {
      const [good, bad] = [await stage.join(), await stage.join()];
      await bad.expectRefusal(packet(0xf0));
      await good.expectNothing();
    },
  },
];
