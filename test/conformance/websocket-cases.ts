import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket } from "ws";
import { connect, packet, PINGREQ, publish, subscribe } from "./packets.ts";
import type { Case } from "./stage.ts";

const REFUSED: [statement: Case["statement"], title: string, ...packets: Buffer[]][] = [
  ["MQTT-3.1.0-1", "PINGREQ as the first packet ends the connection", PINGREQ],
  ["MQTT-3.1.0-2", "a second CONNECT ends the connection", connect(), connect()],
  ["MQTT-3.1.2-3", "the reserved connect flag ends the connection", connect({ flipFlags: 1 })],
  ["MQTT-3.3.2-2", "PUBLISH to a name with # ends the connection", connect(), publish("a/#", "")],
  ["MQTT-3.8.3-3", "SUBSCRIBE without a filter ends the connection", connect(), subscribe(1)],
  ["MQTT-4.8.0-1", "a packet of type 15 ends the connection", connect(), packet(0xf0)],
];

export const WEBSOCKET_CASES: Case[] = [
  ...REFUSED.map(([statement, title, ...packets]): Case => ({
    statement,
    title: `${title}, over WebSocket`,
    run: async (stage) => {
      const peer = await stage.openWebSocket();
      await peer.expectRefusal(...packets);
    },
  })),
  {
    statement: "MQTT-6.0.0-2",
    title: "packets need not begin or end where WebSocket messages do",
    run: async (stage) => {
      const peer = await stage.openWebSocket();
      const topic = stage.topic("a");
      const bytes = Buffer.concat([connect(), subscribe(1, topic, 0), publish(topic, "x"), PINGREQ]);
      for (let at = 0; at < bytes.length; at += 5) peer.send(bytes.subarray(at, at + 5));
      await peer.expectAll("CONNACK present=0 code=0", "SUBACK 1: 0", `PUBLISH q0 ${topic} x`, "PINGRESP");
    },
  },
  {
    statement: "MQTT-6.0.0-4",
    title: "the subprotocol mqtt is selected",
    run: async (stage) => {
      const socket = new WebSocket(stage.webSocketUrl, ["unknown", "mqtt"]);
      await once(socket, "open");
      assert.equal(socket.protocol, "mqtt");
      socket.terminate();
    },
  },
  {
    statement: "MQTT-6.0.0-1",
    title: "a text message ends the connection",
    run: async (stage) => {
      const socket = new WebSocket(stage.webSocketUrl, "mqtt");
      socket.on("error", () => undefined);
      await once(socket, "open");
      const answer = new Promise((resolve) => {
        socket.once("message", () => resolve("an answer"));
        socket.once("close", () => resolve("closed"));
      });
      socket.send(connect().toString("latin1"));
      const what = await answer;
      socket.terminate();
      assert.equal(what, "closed");
    },
    mosquitto: { deviates: "it takes text as it takes bytes" },
  },
];
