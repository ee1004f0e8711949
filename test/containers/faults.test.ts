import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { prepareEngine, skipWithoutEngine } from "./engine.ts";
import { MOSQUITTO, Stage, type EdgeMember } from "./stage.ts";

/** How long a fault lasts, ms. No outcome depends on it. */
const FAULT_MS = 3_000;
/** Longer than a peer that says nothing is taken for alive. */
const SILENCE_MS = 18_000;
const SOME_FRAMES = 200;
/** What is not said is inherited. */
const ONE_BY_ONE = { concurrency: 1 };

describe("a fleet in containers", { skip: skipWithoutEngine(), concurrency: 2 }, () => {
  before(prepareEngine);

  describe("has every frame once and in order though", ONE_BY_ONE, () => {
    let stage: Stage;
    let a: EdgeMember;
    before(async () => {
      stage = await Stage.start();
      [a] = await Promise.all([stage.startEdge("a"), stage.startEdge("b")]);
      await stage.makes(a, SOME_FRAMES);
    });
    after(() => stage.end());

    async function nothingIsLost(id: string): Promise<void> {
      const { lost } = await stage.settle(id);
      assert.equal(lost, 0);
    }

    it("the hub is killed and comes back", async () => {
      await stage.broker!.kill();
      await sleep(FAULT_MS);
      await stage.broker!.revive();
      await nothingIsLost("hub killed,");
    });

    it("the hub, then an edge, stands still", async () => {
      await stage.broker!.pause();
      await sleep(FAULT_MS);
      await stage.broker!.unpause();
      await stage.makes(a, SOME_FRAMES);
      await a.member.pause();
      await sleep(FAULT_MS);
      await a.member.unpause();
      await nothingIsLost("hub and edge paused,");
    });

    it("an edge loses the network and gets it back", async () => {
      await a.member.leave();
      await sleep(FAULT_MS);
      await a.member.join();
      await nothingIsLost("edge off the network,");
    });

    it("the hub loses the network until everybody has noticed", async () => {
      await stage.broker!.leave();
      await sleep(SILENCE_MS);
      await stage.broker!.join();
      await nothingIsLost("hub off the network,");
    });

    it("a new container takes the hub's place", async () => {
      // The new one is healthy before the old one is asked to end; then it takes its name.
      const next = await stage.startHub();
      await stage.broker!.stop();
      await next.leave();
      await next.join("hub");
      stage.broker = next;
      await nothingIsLost("hub replaced,");
    });

    it("an edge is restarted", async () => {
      await stage.endEdge(a);
      await a.member.revive();
      await nothingIsLost("edge restarted,");
    });

    it("an edge is restarted while it has no network: its volume has what it read", async () => {
      await a.member.leave();
      await sleep(FAULT_MS);
      await stage.endEdge(a);
      await a.member.join();
      await a.member.revive();
      await nothingIsLost("edge restarted off the network,");
    });
  });

  describe("behind a Mosquitto, with a hub as its client, has every frame once and in order though", ONE_BY_ONE, () => {
    let stage: Stage;
    let a: EdgeMember;
    before(async () => {
      stage = await Stage.start(MOSQUITTO);
      await stage.startHub({ command: ["hub", "--broker", "mqtt://hub:1883", "--insecure-lan"], ports: [] });
      a = await stage.startEdge("a");
      await stage.makes(a, SOME_FRAMES);
    });
    after(() => stage.end());

    it("Mosquitto is killed and comes back", async () => {
      await stage.broker!.kill();
      await sleep(FAULT_MS);
      await stage.broker!.revive();
      const { lost } = await stage.settle("Mosquitto killed,");
      assert.equal(lost, 0);
    });
  });
});
