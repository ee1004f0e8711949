import { connect, publish, subscribe } from "./packets.ts";
import type { Case } from "./stage.ts";

/** Filter, topic, whether they match: the examples of clause 4.7.1 and the edges around them. */
const MATCHES: [statement: Case["statement"], filter: string, topic: string, matches: boolean][] = [
  ["MQTT-4.7.1-2", "sport/player/#", "sport/player", true],
  ["MQTT-4.7.1-2", "sport/player/#", "sport/player/ranking/x", true],
  ["MQTT-4.7.1-2", "sport/player/#", "sport/players", false],
  ["MQTT-4.7.1-3", "sport/+", "sport", false],
  ["MQTT-4.7.1-3", "sport/+", "sport/", true],
  ["MQTT-4.7.1-3", "sport/+", "sport/a/b", false],
  ["MQTT-4.7.1-3", "sport/+/b", "sport/a/b", true],
  ["MQTT-4.7.1-3", "+/+", "/finance", true],
  ["MQTT-4.7.1-3", "+", "/finance", false],
  ["MQTT-4.7.3-4", "ACCOUNTS", "Accounts", false],
  ["MQTT-4.7.3-4", "a/b", "a/b/", false],
  ["MQTT-4.7.3-4", "a", "/a", false],
  ["MQTT-4.7.3-4", "a//b", "a/b", false],
  ["MQTT-4.7.3-4", "a//b", "a//b", true],
  ["MQTT-4.7.3-4", "é", "e\u0301", false],
];

export const TOPIC_CASES: Case[] = [
  ...MATCHES.map(([statement, filter, topic, matches]): Case => ({
    statement,
    title: `${filter} ${matches ? "matches" : "does not match"} ${topic}`,
    run: async (stage) => {
      const publisher = await stage.join();
      const peer = await stage.subscribed([stage.topic(filter), 0]);
      publisher.send(publish(stage.topic(topic), "x"));
      if (matches) await peer.expect(`PUBLISH q0 ${stage.topic(topic)} x`);
      await stage.expectNothingPublished(peer, publisher);
    },
  })),
  {
    statement: "MQTT-4.7.1-1",
    title: "a will topic with a wildcard ends the connection",
    run: async (stage) => {
      const peer = await stage.open();
      await peer.expectRefusal(connect({ will: { topic: stage.topic("#"), message: "x" } }));
    },
  },
  {
    statement: "MQTT-4.7.2-1",
    title: "filters that begin with a wildcard do not match topics that begin with $",
    run: async (stage) => {
      // A filter of its own keeps other cases' messages away: nobody else has so many levels.
      const rest = Array.from({ length: 30 }, (_, at) => `${stage.id()}${at}`).join("/");
      const peer = await stage.subscribed([`+/${rest}`, 0]);
      const publisher = await stage.join();
      publisher.send(publish(`$x/${rest}`, "hidden"), publish(`x/${rest}`, "seen"));
      await peer.expect(`PUBLISH q0 x/${rest} seen`);
    },
  },
  {
    statement: "MQTT-4.7.3-3",
    title: "a topic may have 65,535 bytes",
    run: async (stage) => {
      const topic = stage.topic("").padEnd(65_535, "x");
      const peer = await stage.join();
      peer.send(subscribe(1, topic, 0));
      await peer.expect("SUBACK 1: 0");
      peer.send(publish(topic, "x"));
      await peer.expect(`PUBLISH q0 ${topic} x`);
    },
  },
];
