import { publish, pubrel, subscribe, unsubscribe } from "./packets.ts";
import type { Case } from "./stage.ts";

/** QoS published, QoS granted, QoS delivered. */
const DELIVERED = [0, 1, 2].flatMap((published) =>
  [0, 1, 2].map((granted) => [published, granted, Math.min(published, granted)] as const),
);

export const SUBSCRIBE_CASES: Case[] = [
  {
    statement: "MQTT-3.8.4-1",
    title: "SUBSCRIBE is answered with SUBACK",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(1, stage.topic("a"), 0));
      await peer.expect("SUBACK 1: 0");
    },
  },
  {
    statement: "MQTT-3.8.4-3",
    title: "a filter that is there already is replaced: its QoS changes, retained messages come again, messages once",
    run: async (stage) => {
      const topic = stage.topic("a");
      const publisher = await stage.join();
      publisher.send(publish(topic, "kept", { qos: 1, retain: true }));
      await publisher.expect("PUBACK 1");
      const peer = await stage.subscribed([topic, 0]);
      await peer.expect(`PUBLISH q0 ${topic} kept retain`);
      peer.send(subscribe(2, topic, 1));
      await peer.expect("SUBACK 2: 1", `PUBLISH q1 ${topic} kept retain`);
      publisher.send(publish(topic, "now", { qos: 1, id: 2 }));
      await peer.expect(`PUBLISH q1 ${topic} now`);
      await publisher.expect("PUBACK 2");
      await stage.expectNothingPublished(peer, publisher);
    },
  },
  {
    statement: "MQTT-3.8.4-4",
    title: "several filters in one packet are as good as one each",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 0, stage.topic("b"), 0]);
      const publisher = await stage.join();
      publisher.send(publish(stage.topic("b"), "1"), publish(stage.topic("a"), "2"));
      await peer.expect(`PUBLISH q0 ${stage.topic("b")} 1`, `PUBLISH q0 ${stage.topic("a")} 2`);
    },
  },
  {
    statement: "MQTT-3.8.4-5",
    title: "SUBACK has a return code for each filter",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(1, stage.topic("a"), 1, stage.topic("b"), 1, stage.topic("c"), 1));
      await peer.expect("SUBACK 1: 1 1 1");
    },
  },
  {
    statement: "MQTT-3.8.4-5",
    title: "a filter named twice in one packet has two return codes",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(1, stage.topic("a"), 0, stage.topic("a"), 1));
      await peer.expect("SUBACK 1: 0 1");
    },
    hub: { deviates: "it takes the last of two that are the same, and answers once" },
  },
  {
    statement: "MQTT-3.9.3-1",
    title: "return codes are in the order of the filters",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(1, stage.topic("a"), 2, stage.topic("b"), 0, stage.topic("c"), 1));
      await peer.expect("SUBACK 1: 2 0 1");
    },
  },
  {
    statement: "MQTT-3.9.3-2",
    title: "a filter that is refused has 128, and the others are granted",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(subscribe(1, stage.topic("a"), 1, "$SYS/#", 0, stage.topic("b"), 0));
      await peer.expect("SUBACK 1: 1 128 0");
      peer.send(publish(stage.topic("b"), "x"));
      await peer.expect(`PUBLISH q0 ${stage.topic("b")} x`);
    },
    mosquitto: { deviates: "it refuses no filter as it comes" },
  },
  ...DELIVERED.map(([published, granted, delivered]): Case => ({
    statement: "MQTT-3.8.4-6",
    title: `published with QoS ${published}, granted ${granted}, delivered with ${delivered}`,
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.subscribed([stage.topic("+"), granted]);
      const publisher = await stage.join();
      publisher.send(publish(topic, "x", { qos: published, id: 4 }));
      if (published === 2) publisher.send(pubrel(4));
      await peer.expect(`PUBLISH q${delivered} ${topic} x`);
    },
  })),
  {
    statement: "MQTT-3.8.4-6",
    title: "a retained message comes with the lower of its QoS and that granted",
    run: async (stage) => {
      const topic = stage.topic("a");
      await stage.publishOnce(topic, "kept", true);
      const peer = await stage.subscribed([topic, 1]);
      await peer.expect(`PUBLISH q1 ${topic} kept retain`);
    },
  },
  {
    statement: "MQTT-3.10.4-1",
    title: "UNSUBSCRIBE compares filters character by character",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 0]);
      peer.send(unsubscribe(2, stage.topic("+"), stage.topic("A"), stage.topic("#")));
      await peer.expect("UNSUBACK 2");
      peer.send(publish(stage.topic("a"), "x"));
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-3.10.4-2",
    title: "no messages come after UNSUBACK",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 1]);
      peer.send(unsubscribe(2, stage.topic("a")));
      await peer.expect("UNSUBACK 2");
      const publisher = await stage.join();
      publisher.send(publish(stage.topic("a"), "x", { qos: 1 }));
      await publisher.expect("PUBACK 1");
      await stage.expectNothingPublished(peer, publisher);
    },
  },
  {
    statement: "MQTT-3.10.4-2",
    title: "UNSUBSCRIBE leaves other filters that match",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 0, stage.topic("+"), 0]);
      peer.send(unsubscribe(2, stage.topic("a")));
      await peer.expect("UNSUBACK 2");
      peer.send(publish(stage.topic("a"), "x"));
      await peer.expect(`PUBLISH q0 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-3.10.4-5",
    title: "UNSUBSCRIBE of what was not subscribed is answered with UNSUBACK",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(unsubscribe(77, stage.topic("never")));
      await peer.expect("UNSUBACK 77");
    },
  },
  {
    statement: "MQTT-3.10.4-6",
    title: "several filters in one UNSUBSCRIBE are as good as one each, with one answer",
    run: async (stage) => {
      const peer = await stage.subscribed([stage.topic("a"), 0, stage.topic("b"), 0, stage.topic("c"), 0]);
      peer.send(unsubscribe(2, stage.topic("a"), stage.topic("b")));
      await peer.expect("UNSUBACK 2");
      peer.send(publish(stage.topic("a"), "1"), publish(stage.topic("b"), "2"), publish(stage.topic("c"), "3"));
      await peer.expect(`PUBLISH q0 ${stage.topic("c")} 3`);
    },
  },
];
