import { puback, pubcomp, publish, pubrec, pubrel, unsubscribe } from "./packets.ts";
import type { Case } from "./stage.ts";

export const QOS_CASES: Case[] = [
  {
    statement: "MQTT-4.3.2-2",
    title: "QoS 1 is answered with PUBACK, each time that it comes",
    run: async (stage) => {
      const peer = await stage.join();
      const packet = publish(stage.topic("a"), "x", { qos: 1, id: 5 });
      peer.send(packet, packet, publish(stage.topic("a"), "x", { qos: 1, id: 5, dup: true }));
      await peer.expect("PUBACK 5", "PUBACK 5", "PUBACK 5");
    },
  },
  {
    statement: "MQTT-4.3.2-2",
    title: "an id of QoS 1 that was acknowledged may be used for another message",
    run: async (stage) => {
      const topic = stage.topic("a");
      const witness = await stage.subscribed([topic, 0]);
      const peer = await stage.join();
      for (const payload of ["one", "two"]) {
        peer.send(publish(topic, payload, { qos: 1, id: 5 }));
        await peer.expect("PUBACK 5");
        await witness.expect(`PUBLISH q0 ${topic} ${payload}`);
      }
    },
  },
  {
    statement: "MQTT-4.3.3-2",
    title: "QoS 2 is answered with PUBREC, and PUBREL with PUBCOMP",
    run: async (stage) => {
      const witness = await stage.subscribed([stage.topic("a"), 0]);
      const peer = await stage.join();
      peer.send(publish(stage.topic("a"), "x", { qos: 2, id: 5 }));
      await peer.expect("PUBREC 5");
      peer.send(pubrel(5));
      await peer.expect("PUBCOMP 5");
      await witness.expect(`PUBLISH q0 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-4.3.3-2",
    title: "QoS 2 that comes again before PUBREL is answered and delivered once",
    run: async (stage) => {
      const topic = stage.topic("a");
      const witness = await stage.subscribed([topic, 0]);
      const peer = await stage.join();
      peer.send(publish(topic, "x", { qos: 2, id: 5 }));
      await peer.expect("PUBREC 5");
      peer.send(publish(topic, "x", { qos: 2, id: 5, dup: true }));
      await peer.expect("PUBREC 5");
      peer.send(pubrel(5));
      await peer.expect("PUBCOMP 5");
      await witness.expect(`PUBLISH q0 ${topic} x`);
      await stage.expectNothingPublished(witness, peer);
    },
  },
  {
    statement: "MQTT-4.3.3-2",
    title: "an id of QoS 2 may be used for another message after PUBCOMP",
    run: async (stage) => {
      const topic = stage.topic("a");
      const witness = await stage.subscribed([topic, 0]);
      const peer = await stage.join();
      for (const payload of ["one", "two"]) {
        peer.send(publish(topic, payload, { qos: 2, id: 5 }));
        await peer.expect("PUBREC 5");
        peer.send(pubrel(5));
        await peer.expect("PUBCOMP 5");
        await witness.expect(`PUBLISH q0 ${topic} ${payload}`);
      }
    },
  },
  {
    statement: "MQTT-3.6.4-1",
    title: "PUBREL of an id that is not known is answered with PUBCOMP",
    run: async (stage) => {
      const peer = await stage.join();
      peer.send(pubrel(777));
      await peer.expect("PUBCOMP 777");
    },
  },
  {
    statement: "MQTT-4.3.3-1",
    title: "the broker sends QoS 2 with PUBREL after PUBREC, and is done after PUBCOMP",
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.subscribed([topic, 2]);
      const publisher = await stage.join();
      publisher.send(publish(topic, "x", { qos: 2, id: 5 }), pubrel(5));
      await peer.expect(`PUBLISH q2 ${topic} x`);
      const { id } = peer;
      peer.send(pubrec(id));
      await peer.expect(`PUBREL ${id}`);
      peer.send(pubcomp(id));
      await peer.expectNothing();
    },
  },
  {
    statement: "MQTT-4.3.2-1",
    title: "the broker sends QoS 1 with an id and DUP clear",
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.subscribed([topic, 1]);
      const publisher = await stage.join();
      publisher.send(publish(topic, "x", { qos: 1, id: 5, dup: true }));
      await peer.expect(`PUBLISH q1 ${topic} x`);
      peer.send(puback(peer.id));
      await peer.expectNothing();
    },
  },
  {
    statement: "MQTT-4.6.0-2",
    title: "QoS 1 is acknowledged in the order of its coming",
    run: async (stage) => {
      const peer = await stage.join();
      const ids = Array.from({ length: 50 }, (_, at) => at + 1);
      peer.send(...ids.map((id) => publish(stage.topic("a"), "x", { qos: 1, id })));
      await peer.expect(...ids.map((id) => `PUBACK ${id}`));
    },
  },
  {
    statement: "MQTT-4.6.0-3",
    title: "QoS 2 is answered in the order of its coming",
    run: async (stage) => {
      const peer = await stage.join();
      // As many as Mosquitto takes without PUBREL.
      const ids = Array.from({ length: 20 }, (_, at) => at + 1);
      peer.send(...ids.map((id) => publish(stage.topic("a"), "x", { qos: 2, id })));
      await peer.expect(...ids.map((id) => `PUBREC ${id}`));
      peer.send(...ids.map(pubrel));
      await peer.expect(...ids.map((id) => `PUBCOMP ${id}`));
    },
  },
  {
    statement: "MQTT-4.6.0-5",
    title: "messages of QoS 1 come in the order of their publishing",
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.subscribed([topic, 1]);
      const publisher = await stage.join();
      const ids = Array.from({ length: 50 }, (_, at) => at + 1);
      publisher.send(...ids.map((id) => publish(topic, String(id), { qos: 1, id })));
      for (const id of ids) {
        await peer.expect(`PUBLISH q1 ${topic} ${id}`);
        peer.send(puback(peer.id));
      }
    },
  },
  {
    statement: "MQTT-3.10.4-3",
    title: "a message of QoS 2 that is under way is finished after UNSUBSCRIBE",
    run: async (stage) => {
      const topic = stage.topic("a");
      const peer = await stage.subscribed([topic, 2]);
      const publisher = await stage.join();
      publisher.send(publish(topic, "x", { qos: 2, id: 5 }), pubrel(5));
      await peer.expect(`PUBLISH q2 ${topic} x`);
      const { id } = peer;
      peer.send(unsubscribe(6, topic));
      await peer.expect("UNSUBACK 6");
      peer.send(pubrec(id));
      await peer.expect(`PUBREL ${id}`);
    },
  },
];
