import { publish, subscribe, type PublishOptions } from "./packets.ts";
import type { Peer } from "./peer.ts";
import type { Case, Stage } from "./stage.ts";

const RETAIN = { retain: true } as const;

/** A publisher whose message was taken. */
async function published(stage: Stage, payload: string, options: PublishOptions = {}, by?: Peer): Promise<Peer> {
  const publisher = by ?? (await stage.join());
  publisher.send(publish(stage.topic("a"), payload, { id: 3, ...options }));
  if (options.qos === 1) await publisher.expect("PUBACK 3");
  else await publisher.expectNothing();
  return publisher;
}

export const PUBLISH_CASES: Case[] = [
  {
    statement: "MQTT-3.3.1-3",
    title: "DUP of a publisher is not passed on",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 1]);
      await published(stage, "x", { qos: 1, dup: true });
      await peer.expect(`PUBLISH q1 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-3.3.1-5",
    title: "a retained message is kept with its QoS",
    run: async (stage) => {
      await published(stage, "kept", { ...RETAIN, qos: 1 });
      const peer = await stage.subscribed([stage.topic("a"), 2]);
      await peer.expect(`PUBLISH q1 ${stage.topic("a")} kept retain`);
    },
  },
  {
    statement: "MQTT-3.3.1-5",
    title: "a later retained message takes the place of an earlier one",
    run: async (stage) => {
      const publisher = await published(stage, "one", { ...RETAIN, qos: 1 });
      await published(stage, "two", { ...RETAIN, qos: 1 }, publisher);
      const peer = await stage.subscribed([stage.topic("a"), 0]);
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} two retain`);
      await stage.expectNothingPublished(peer, publisher);
    },
  },
  {
    statement: "MQTT-3.3.1-6",
    title: "a new subscription gets the last retained message of every topic that matches",
    run: async (stage) => {
      const publisher = await stage.join();
      publisher.send(publish(stage.topic("a"), "1", RETAIN), publish(stage.topic("b/c"), "2", RETAIN));
      await publisher.expectNothing();
      const peer = await stage.subscribed([stage.topic("#"), 0]);
      await peer.expectAll(`PUBLISH q0 ${stage.topic("a")} 1 retain`, `PUBLISH q0 ${stage.topic("b/c")} 2 retain`);
    },
  },
  {
    statement: "MQTT-3.3.1-7",
    title: "a retained message of QoS 0 discards the one that was kept before",
    run: async (stage) => {
      const publisher = await published(stage, "one", { ...RETAIN, qos: 1 });
      await published(stage, "two", RETAIN, publisher);
      const peer = await stage.subscribed([stage.topic("a"), 1]);
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} two retain`);
    },
  },
  {
    statement: "MQTT-3.3.1-8",
    title: "a message sent for a new subscription has RETAIN set",
    run: async (stage) => {
      await published(stage, "kept", RETAIN);
      const peer = await stage.subscribed([stage.topic("+"), 0]);
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} kept retain`);
    },
  },
  {
    statement: "MQTT-3.3.1-9",
    title: "a message sent for an established subscription has RETAIN clear",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 1]);
      await published(stage, "now", { ...RETAIN, qos: 1 });
      await peer.expect(`PUBLISH q1 ${stage.topic("a")} now`);
    },
  },
  {
    statement: "MQTT-3.3.1-10",
    title: "an empty retained message is delivered as usual, and removes what was kept",
    run: async (stage) => {
      const publisher = await published(stage, "kept", RETAIN);
      const peer = await stage.subscribed([stage.topic("a"), 0]);
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} kept retain`);
      await published(stage, "", RETAIN, publisher);
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} `);
      const late = await stage.subscribed([stage.topic("a"), 0]);
      await stage.expectNothingPublished(late, publisher);
    },
  },
  {
    statement: "MQTT-3.3.1-11",
    title: "an empty retained message is not kept itself",
    run: async (stage) => {
      const publisher = await published(stage, "", { ...RETAIN, qos: 1 });
      const late = await stage.subscribed([stage.topic("a"), 0]);
      await stage.expectNothingPublished(late, publisher);
    },
  },
  {
    statement: "MQTT-3.3.1-12",
    title: "a message without RETAIN neither is kept nor takes the place of one",
    run: async (stage) => {
      const publisher = await published(stage, "kept", { ...RETAIN, qos: 1 });
      await published(stage, "passing", { qos: 1 }, publisher);
      const late = await stage.subscribed([stage.topic("a"), 0]);
      await late.expect(`PUBLISH q0 ${stage.topic("a")} kept retain`);
      await stage.expectNothingPublished(late, publisher);
    },
  },
  {
    statement: "MQTT-3.3.1-12",
    title: "an empty message without RETAIN removes nothing",
    run: async (stage) => {
      const publisher = await published(stage, "kept", { ...RETAIN, qos: 1 });
      await published(stage, "", {}, publisher);
      const late = await stage.subscribed([stage.topic("a"), 0]);
      await late.expect(`PUBLISH q0 ${stage.topic("a")} kept retain`);
    },
  },
  {
    statement: "MQTT-3.3.2-3",
    title: "subscribers get the topic name that was published to",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("+/b/#"), 0]);
      const publisher = await stage.join();
      publisher.send(publish(stage.topic("é/b/C d"), "x"));
      await peer.expect(`PUBLISH q0 ${stage.topic("é/b/C d")} x`);
    },
  },
  {
    statement: "MQTT-3.3.4-1",
    title: "QoS 0 is answered with nothing",
    run: async (stage) => {
      await published(stage, "x");
    },
  },
  {
    statement: "MQTT-3.3.5-1",
    title: "of overlapping filters the highest QoS counts, and the message comes once",
    run: async (stage) => {
      const filters = [stage.topic("#"), 0, stage.topic("a"), 2, stage.topic("+"), 1];
      const peer = await stage.subscribed(filters);
      const publisher = await published(stage, "x", { qos: 1 });
      await peer.expect(`PUBLISH q1 ${stage.topic("a")} x`);
      await stage.expectNothingPublished(peer, publisher);
    },
  },
  {
    statement: "MQTT-3.3.5-2",
    title: "a publish that the broker does not allow is acknowledged, and goes nowhere",
    run: async (stage) => {
      const witness = await stage.subscribed([stage.topic("#"), 0]);
      const peer = await stage.join();
      peer.send(publish("$SYS/nobody/may", "x", { qos: 1, id: 12 }));
      await peer.expect("PUBACK 12");
      peer.send(publish("$SYS/nobody/may", "x", { qos: 2, id: 13 }));
      await peer.expect("PUBREC 13");
      await stage.expectNothingPublished(witness, peer);
    },
  },
  {
    statement: "MQTT-4.3.1-1",
    title: "QoS 0 to a subscription of QoS 2 comes with QoS 0",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 2]);
      await published(stage, "x");
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-4.6.0-6",
    title: "messages of one topic and QoS come in the order of their publishing, retained ones among them",
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.subscribed([topic, 0]);
      const publisher = await stage.join();
      const packets = Array.from({ length: 100 }, (_, at) => publish(topic, String(at), { retain: at % 3 === 0 }));
      publisher.send(...packets);
      for (let at = 0; at < packets.length; at++) await peer.expect(`PUBLISH q0 ${topic} ${at}`);
      peer.send(subscribe(5, topic, 0));
      await peer.expect("SUBACK 5: 0", `PUBLISH q0 ${topic} 99 retain`);
    },
  },
];
