import { puback, pubcomp, publish, pubrec, pubrel, subscribe, unsubscribe } from "./packets.ts";
import type { Peer } from "./peer.ts";
import type { Case, Stage } from "./stage.ts";

const KEPT = { clean: false } as const;

/** A client whose session is kept, subscribed to `a`, that has left. */
async function away(stage: Stage, qos: number, id = stage.id()): Promise<void> {
  await stage.leave(await stage.subscribed([stage.topic("a"), qos], { ...KEPT, id }));
}

/** Publishes with an acknowledgement of QoS 1, one after the other. */
async function publishAll(stage: Stage, ...payloads: string[]): Promise<Peer> {
  const publisher = await stage.join();
  for (const payload of payloads) {
    publisher.send(publish(stage.topic("a"), payload, { qos: 1, id: 7 }));
    await publisher.expect("PUBACK 7");
  }
  return publisher;
}

export const SESSION_CASES: Case[] = [
  {
    statement: "MQTT-3.1.2-4",
    title: "a kept session has its subscriptions when the client comes back",
    run: async (stage) => {
      await away(stage, 1);
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await publishAll(stage, "now");
      await back.expect(`PUBLISH q1 ${stage.topic("a")} now`);
    },
  },
  {
    statement: "MQTT-3.1.2-4",
    title: "a filter that was unsubscribed is not in the kept session",
    run: async (stage) => {
      const first = await stage.subscribed([stage.topic("a"), 1, stage.topic("b"), 1], { ...KEPT, id: stage.id() });
      first.send(unsubscribe(3, stage.topic("a")));
      await first.expect("UNSUBACK 3");
      await stage.leave(first);
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await stage.expectNothingPublished(back, await publishAll(stage, "for nobody"));
    },
  },
  {
    statement: "MQTT-3.1.2-5",
    title: "messages of QoS 1 and 2 are kept for a client that is away",
    run: async (stage) => {
      await away(stage, 2);
      await publishAll(stage, "one");
      await stage.publishOnce(stage.topic("a"), "two");
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await back.expect(`PUBLISH q1 ${stage.topic("a")} one`);
      back.send(puback(back.id));
      await back.expect(`PUBLISH q2 ${stage.topic("a")} two`);
    },
  },
  {
    statement: "MQTT-3.8.4-6",
    title: "a message kept for a client that is away comes at the QoS granted",
    run: async (stage) => {
      await away(stage, 1);
      await stage.publishOnce(stage.topic("a"), "x");
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await back.expect(`PUBLISH q1 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-3.3.5-1",
    title: "overlapping filters keep one message, at the highest QoS granted, for a client that is away",
    run: async (stage) => {
      const filters = [stage.topic("+"), 1, stage.topic("a"), 2];
      await stage.leave(await stage.subscribed(filters, { ...KEPT, id: stage.id() }));
      await stage.publishOnce(stage.topic("a"), "x");
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await back.expect(`PUBLISH q2 ${stage.topic("a")} x`);
      await stage.expectNothingPublished(back);
    },
  },
  {
    statement: "MQTT-3.1.2-6",
    title: "a clean session discards the kept one, its subscriptions and messages",
    run: async (stage) => {
      await away(stage, 1);
      const publisher = await publishAll(stage, "old");
      const clean = await stage.join({ id: stage.id() });
      await stage.expectNothingPublished(clean, publisher);
      await stage.leave(clean);
      const back = await stage.join({ ...KEPT, id: stage.id() }, 0);
      await stage.expectNothingPublished(back, publisher);
    },
  },
  {
    statement: "MQTT-3.1.2-7",
    title: "a retained message outlives the session of its publisher",
    run: async (stage) => {
      const publisher = await stage.join({ id: stage.id() });
      publisher.send(publish(stage.topic("a"), "kept", { qos: 1, retain: true }));
      await publisher.expect("PUBACK 1");
      await stage.leave(publisher);
      await stage.leave(await stage.join({ id: stage.id() }));
      const late = await stage.subscribed([stage.topic("a"), 0]);
      await late.expect(`PUBLISH q0 ${stage.topic("a")} kept retain`);
    },
  },
  {
    statement: "MQTT-3.1.3-2",
    title: "sessions are told apart by client id",
    run: async (stage) => {
      await away(stage, 1, stage.id("A"));
      const publisher = await publishAll(stage, "for A");
      const other = await stage.join({ ...KEPT, id: stage.id("a") }, 0);
      await stage.expectNothingPublished(other, publisher);
      const back = await stage.join({ ...KEPT, id: stage.id("A") }, 1);
      await back.expect(`PUBLISH q1 ${stage.topic("a")} for A`);
    },
  },
  {
    statement: "MQTT-3.2.2-1",
    title: "no session is present for a client with a clean session",
    run: async (stage) => {
      await away(stage, 0);
      await stage.join({ id: stage.id() }, 0);
    },
  },
  {
    statement: "MQTT-3.2.2-2",
    title: "a kept session with subscriptions is present",
    run: async (stage) => {
      await away(stage, 0);
      await stage.join({ ...KEPT, id: stage.id() }, 1);
    },
  },
  {
    statement: "MQTT-3.2.2-2",
    title: "a kept session without subscriptions is present",
    run: async (stage) => {
      await stage.leave(await stage.join({ ...KEPT, id: stage.id() }));
      await stage.join({ ...KEPT, id: stage.id() }, 1);
    },
  },
  {
    statement: "MQTT-3.2.2-3",
    title: "no session is present for a client that never was there",
    run: async (stage) => {
      await stage.join({ ...KEPT, id: stage.id() }, 0);
    },
  },
  {
    statement: "MQTT-4.4.0-1",
    title: "a PUBLISH of QoS 1 that was not acknowledged comes again, with the same id and DUP",
    run: async (stage) => {
      const first = await stage.subscribed([stage.topic("a"), 1], { ...KEPT, id: stage.id() });
      await publishAll(stage, "x");
      await first.expect(`PUBLISH q1 ${stage.topic("a")} x`);
      const { id } = first;
      await first.drop();
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await back.expect(`PUBLISH q1 ${stage.topic("a")} x dup`);
      if (back.id !== id) await back.expect(`id ${id}, not ${back.id}`);
    },
  },
  {
    statement: "MQTT-4.4.0-1",
    title: "a PUBLISH of QoS 1 that was acknowledged does not come again",
    run: async (stage) => {
      const first = await stage.subscribed([stage.topic("a"), 1], { ...KEPT, id: stage.id() });
      const publisher = await publishAll(stage, "x");
      await first.expect(`PUBLISH q1 ${stage.topic("a")} x`);
      first.send(puback(first.id));
      await first.expectNothing();
      await stage.leave(first);
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await stage.expectNothingPublished(back, publisher);
    },
  },
  {
    statement: "MQTT-3.3.1-1",
    title: "a PUBLISH of QoS 2 without its PUBREC comes again, with DUP",
    run: async (stage) => {
      const first = await stage.subscribed([stage.topic("a"), 2], { ...KEPT, id: stage.id() });
      await stage.publishOnce(stage.topic("a"), "x");
      await first.expect(`PUBLISH q2 ${stage.topic("a")} x`);
      await first.drop();
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await back.expect(`PUBLISH q2 ${stage.topic("a")} x dup`);
    },
  },
  {
    statement: "MQTT-4.4.0-1",
    title: "a PUBREL without its PUBCOMP comes again, with the same id",
    run: async (stage) => {
      const first = await stage.subscribed([stage.topic("a"), 2], { ...KEPT, id: stage.id() });
      await stage.publishOnce(stage.topic("a"), "x");
      await first.expect(`PUBLISH q2 ${stage.topic("a")} x`);
      const { id } = first;
      first.send(pubrec(id));
      await first.expect(`PUBREL ${id}`);
      await first.drop();
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await back.expect(`PUBREL ${id}`);
      back.send(pubcomp(id));
      await back.expectNothing();
    },
  },
  {
    statement: "MQTT-4.3.3-2",
    title: "a PUBLISH of QoS 2 that comes again on the next connection is delivered once",
    run: async (stage) => {
      const witness = await stage.subscribed([stage.topic("a"), 0]);
      const first = await stage.join({ ...KEPT, id: stage.id() });
      first.send(publish(stage.topic("a"), "x", { qos: 2, id: 5 }));
      await first.expect("PUBREC 5");
      await first.drop();
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      back.send(publish(stage.topic("a"), "x", { qos: 2, id: 5, dup: true }));
      await back.expect("PUBREC 5");
      back.send(pubrel(5));
      await back.expect("PUBCOMP 5");
      await witness.expect(`PUBLISH q0 ${stage.topic("a")} x`);
      await stage.expectNothingPublished(witness, back);
    },
  },
  {
    statement: "MQTT-4.1.0-1",
    title: "a session outlives its network connection",
    run: async (stage) => {
      const first = await stage.join({ ...KEPT, id: stage.id() });
      first.send(subscribe(1, stage.topic("a"), 1));
      await first.expect("SUBACK 1: 1");
      await first.drop();
      // Clean session 1 and 0 by one id, 0 again: the kept session is the last one's.
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      await publishAll(stage, "x");
      await back.expect(`PUBLISH q1 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-4.5.0-1",
    title: "a message goes to all sessions that match, those that are away too",
    run: async (stage) => {
      await away(stage, 1, stage.id("away"));
      const witness = await stage.subscribed([stage.topic("+"), 0]);
      await publishAll(stage, "x");
      await witness.expect(`PUBLISH q0 ${stage.topic("a")} x`);
      const back = await stage.join({ ...KEPT, id: stage.id("away") }, 1);
      await back.expect(`PUBLISH q1 ${stage.topic("a")} x`);
    },
  },
  {
    statement: "MQTT-4.6.0-1",
    title: "messages kept for a client come in the order of their publishing",
    run: async (stage) => {
      await away(stage, 1);
      const payloads = Array.from({ length: 20 }, (_, at) => String(at));
      await publishAll(stage, ...payloads);
      const back = await stage.join({ ...KEPT, id: stage.id() }, 1);
      for (const payload of payloads) {
        await back.expect(`PUBLISH q1 ${stage.topic("a")} ${payload}`);
        back.send(puback(back.id));
      }
    },
  },
];
