import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { subscribePacket } from "../harness.suite.ts";
import { encodePublish, encodePublishHead } from "../publish-packet.ts";
import { PublishShortcut } from "./publish-shortcut.ts";

/** What happened, in order: plain publishes by topic and payload, and bytes for the broker. */
interface Course {
  published: string[];
  /** All bytes that the broker was given, and how many had been published when each packet of it began. */
  brokers: Buffer;
  begun: number[];
}

/** @param isIdle whether the broker is, after so many packets were begun and so many pieces of bytes were taken */
function run(bytes: Buffer, piece: number, isIdle: (begun: number, pieces: number) => boolean): Course {
  const course: Course = { published: [], brokers: Buffer.alloc(0), begun: [] };
  let pieces = 0;
  let heard = 0;
  const shortcut = new PublishShortcut(
    {
      get isIdle() {
        return isIdle(course.begun.length, pieces);
      },
      began: () => course.begun.push(course.published.length),
      heard: () => heard++,
    },
    (packet, topicAt) => {
      const payloadAt = topicAt + 2 + packet.readUInt16BE(topicAt);
      course.published.push(`${packet.toString("utf8", topicAt + 2, payloadAt)}=${packet.toString("utf8", payloadAt)}`);
    },
  );
  for (let at = 0; at < bytes.length; at += piece) {
    pieces++;
    const passed = shortcut.take(bytes.subarray(at, at + piece));
    assert.notEqual(passed?.length, 0, "never an empty piece, which a reader would take for the end");
    if (passed) course.brokers = Buffer.concat([course.brokers, passed]);
  }
  assert.equal(heard > 0, course.published.length > 0);
  return course;
}

const plain = (i: number, bytes = 3): Buffer =>
  encodePublish(`t/${i}`, Buffer.from(String(i).padStart(bytes, ".")), false);
const retained = encodePublish("t/kept", Buffer.from("kept"), true);
const acknowledged = Buffer.concat([encodePublishHead("t/1", 300, 1, false, 7), Buffer.alloc(300, "q")]);
const ping = Buffer.of(0xc0, 0);

describe("the shortcut of plain publishes", () => {
  it("takes them all while the broker is idle, however the bytes are cut", () => {
    const sizes = [1, 120, 130, 200, 20_000, 3];
    const bytes = Buffer.concat(sizes.map((size, i) => plain(i, size)));
    const wanted = sizes.map((size, i) => `t/${i}=${String(i).padStart(size, ".")}`);
    for (const piece of [1, 2, 3, 7, 100, 127, 4_096, bytes.length]) {
      const { published, brokers } = run(bytes, piece, () => true);
      assert.deepEqual(published, wanted, `${piece} bytes at a time`);
      assert.equal(brokers.length, 0);
    }
  });

  it("gives the broker everything, unchanged, while it is not", () => {
    const bytes = Buffer.concat([plain(1), ping, plain(2, 200), retained, acknowledged, subscribePacket("a", 0)]);
    for (let piece = 1; piece <= bytes.length; piece++) {
      const { published, brokers, begun } = run(bytes, piece, () => false);
      assert.deepEqual(published, []);
      assert.deepEqual(brokers, bytes, `${piece} bytes at a time`);
      assert.equal(begun.length, 6);
    }
  });

  it("never overtakes a packet that the broker is at", () => {
    const bytes = Buffer.concat([plain(1), plain(2), retained, plain(3), plain(4)]);
    // Done with whatever it was given by the next piece.
    for (let piece = 1; piece <= bytes.length; piece++) {
      let isBusyIn = 0;
      let known = 0;
      const { published, brokers, begun } = run(bytes, piece, (count, pieces) => {
        if (count !== known) isBusyIn = pieces;
        known = count;
        return isBusyIn < pieces;
      });
      assert.deepEqual(published.slice(0, 2), ["t/1=..1", "t/2=..2"]);
      assert.equal(begun[0], 2, "both before the retained one");
      assert.ok(brokers.subarray(0, retained.length).equals(retained), `${piece} bytes at a time`);
      assert.equal(published.length + begun.length, 5, "each of the five went one way");
    }
  });

  it("goes on with it once the broker is done with a packet that came in pieces", () => {
    const bytes = Buffer.concat([acknowledged, plain(1), plain(2), plain(3)]);
    for (let piece = 10; piece < acknowledged.length; piece++) {
      // Done with it in the piece that follows its last one.
      const lastPiece = Math.ceil(acknowledged.length / piece);
      const { published, brokers, begun } = run(bytes, piece, (count, pieces) => count === 0 || pieces > lastPiece);
      assert.deepEqual(published.at(-1) ?? "t/3=..3", "t/3=..3");
      assert.equal(published.length + begun.length, 4, `${piece} bytes at a time`);
      assert.ok(brokers.subarray(0, acknowledged.length).equals(acknowledged));
      // What ends in a later piece than the packet does need not go the broker's way.
      const later = [1, 2, 3].filter((i) => Math.ceil((acknowledged.length + i * plain(1).length) / piece) > lastPiece);
      assert.equal(published.length, later.length, `${piece} bytes at a time`);
    }
  });
});
