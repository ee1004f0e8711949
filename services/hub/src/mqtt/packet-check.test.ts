import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connectPacket, subscribePacket } from "../harness.suite.ts";
import { encodePublish } from "../publish-packet.ts";
import { PacketCheck, type PacketFault } from "./packet-check.ts";

const PING = Buffer.from([0xc0, 0]);
const CONNECT = connectPacket("c1");

/** A packet: first byte, remaining length (below 128), the rest. */
function packet(first: number, ...parts: (number | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? text(part) : Buffer.of(part))));
  return Buffer.concat([Buffer.of(first, body.length), body]);
}

/** A string behind its 16-bit length; one character a byte. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(0, value.length), Buffer.from(value, "latin1")]);
}

function utf8(value: string): string {
  return Buffer.from(value).toString("latin1");
}

/** Takes the bytes in pieces of this size; what the check says afterwards, and how many bytes went through. */
function feed(bytes: Uint8Array, piece: number, maxPacketBytes = 1_000): { check: PacketCheck; passed: number } {
  const check = new PacketCheck(maxPacketBytes, { maxTopicLevels: 100, maxTopicBytes: 110 });
  let passed = 0;
  for (let at = 0; at < bytes.length; at += piece) passed += check.take(bytes.subarray(at, at + piece));
  return { check, passed };
}

const FLAGS_CLEAN = 2;
const mqtt = (flags: number, ...payload: (number | string)[]): Buffer =>
  packet(0x10, "MQTT", 4, flags, 0, 60, ...payload);

const VALID: [what: string, ...packets: Buffer[]][] = [
  ["CONNECT of MQTT 3.1", packet(0x10, "MQIsdp", 3, FLAGS_CLEAN, 0, 60, "c1")],
  ["CONNECT of a Mosquitto bridge", packet(0x10, "MQTT", 0x84, FLAGS_CLEAN, 0, 60, "c1")],
  ["CONNECT without a client id", mqtt(FLAGS_CLEAN, "")],
  ["CONNECT with will, user name and password", mqtt(0xf6 & ~8, "c1", "a/b", "\0\xff", "me", "\0")],
  ["CONNECT with an empty will message and user name", mqtt(0x86, "c1", "a", "", "")],
  ["PUBLISH of each QoS", CONNECT, packet(0x31, "a/b", 0), packet(0x3a, "a", 0, 1), packet(0x3d, "a", 255, 255, 7)],
  ["PUBLISH to text of all lengths", CONNECT, packet(0x30, utf8("é€😀\ufeff $"))],
  ["acknowledgements", CONNECT, ...[0x40, 0x50, 0x62, 0x70].map((first) => packet(first, 1, 0))],
  ["SUBSCRIBE", CONNECT, packet(0x82, 0, 1, "#", 0, "+/+/#", 1, "/", 2, "a/+/b", 0, "+", 0)],
  ["UNSUBSCRIBE", CONNECT, packet(0xa2, 0, 1, "a", "+/#")],
  ["a length of four bytes", CONNECT, Buffer.of(0xc0, 0x80, 0x80, 0x80, 0), PING],
];

const FAULTS: { [fault in Exclude<PacketFault, "too-large">]: Buffer[][] } = {
  "not-connected": [[PING], [packet(0x30, "a")]],
  "second-connect": [[CONNECT, CONNECT]],
  type: [0x00, 0x20, 0x90, 0xb0, 0xd0, 0xf0].map((first) => [CONNECT, packet(first, 0, 1)]),
  flags: [
    [packet(0x11, "MQTT")],
    ...[0x38, 0x41, 0x52, 0x60, 0x63, 0x71, 0x80, 0x83, 0xa0, 0xaa, 0xc1, 0xe1].map((first) => [
      CONNECT,
      packet(first),
    ]),
  ],
  length: [
    [packet(0x10, "MQTT", 4, FLAGS_CLEAN, 0)],
    [packet(0x10, "MQTT", 4, FLAGS_CLEAN, 0, 60)],
    [packet(0x10, "MQTT", 4, FLAGS_CLEAN, 0, 60, 0, 9, 1)],
    [mqtt(FLAGS_CLEAN, "c1", 0)],
    [mqtt(0x82, "c1")],
    [mqtt(0xc2, "c1", "me")],
    [mqtt(0x06, "c1", "topic")],
    [CONNECT, packet(0x30)],
    [CONNECT, packet(0x30, 0, 2, 0x61)],
    [CONNECT, packet(0x32, "a")],
    [CONNECT, packet(0x32, "a", 1)],
    [CONNECT, packet(0x40, 1)],
    [CONNECT, packet(0x40, 0, 1, 0)],
    [CONNECT, packet(0x82, 0, 1)],
    [CONNECT, packet(0x82, 0, 1, "a")],
    [CONNECT, packet(0x82, 0, 1, "a", 0, 0)],
    [CONNECT, packet(0xa2, 0, 1)],
    [CONNECT, packet(0xa2, 0, 1, "a", 0)],
    [CONNECT, packet(0xc0, 0)],
    [CONNECT, packet(0xe0, 0)],
    [CONNECT, Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01)],
  ],
  protocol: [
    [packet(0x10, "MQTX", 4)],
    [packet(0x10, "mqtt", 4)],
    [packet(0x10, "MQ", 4)],
    [packet(0x10, "HTTP/1", 3)],
  ],
  version: [
    [packet(0x10, "MQTT", 5)],
    [packet(0x10, "MQTT", 3)],
    [packet(0x10, "MQIsdp", 4)],
    [packet(0x10, "MQTT", 0)],
  ],
  "connect-flags": [0x03, 0x0a, 0x22, 0x1e, 0x42].map((flags) => [mqtt(flags, "c1", "a", "b")]),
  "client-id": [[mqtt(0, "")], [packet(0x10, "MQIsdp", 3, FLAGS_CLEAN, 0, 60, "")]],
  utf8: [
    ...["\0", "a\x1f", "\x7f", "\x80", "\xc0\x80", "\xc3", "\xc3(", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80"],
    ...["\xf4\x90\x80\x80", "\xf5", utf8("\x85"), utf8("\ufffe"), utf8("\ufdd0"), utf8("\u{1ffff}"), "\xff"],
  ].flatMap((bad) => [
    [mqtt(FLAGS_CLEAN, bad)],
    [mqtt(0x06, "c1", bad, "")],
    [mqtt(0x82, "c1", bad)],
    [CONNECT, packet(0x30, bad)],
    [CONNECT, packet(0x82, 0, 1, bad, 0)],
    [CONNECT, packet(0xa2, 0, 1, bad)],
  ]),
  topic: ["", "#", "a/+", "a+", "#/a"].flatMap((bad) => [[CONNECT, packet(0x30, bad)], [mqtt(0x06, "c1", bad, "")]]),
  filter: ["", "a#", "#/a", "a/#/b", "+a", "a+/b", "##", "++", "#+", "a/#b"].flatMap((bad) => [
    [CONNECT, packet(0x82, 0, 1, "a", 0, bad, 0)],
    [CONNECT, packet(0xa2, 0, 1, bad)],
  ]),
  levels: [
    [CONNECT, packet(0x30, "/".repeat(100))],
    [CONNECT, packet(0x82, 0, 1, "/".repeat(100), 0)],
  ],
  "topic-length": [
    [CONNECT, packet(0x30, "x".repeat(111))],
    [CONNECT, packet(0x82, 0, 1, "x".repeat(111), 0)],
  ],
  "packet-id": [
    [CONNECT, packet(0x32, "a", 0, 0)],
    [CONNECT, packet(0x62, 0, 0)],
    [CONNECT, packet(0x82, 0, 0, "a", 0)],
    [CONNECT, packet(0xa2, 0, 0, "a")],
  ],
  qos: [
    [CONNECT, packet(0x36, "a", 0, 1)],
    [CONNECT, packet(0x82, 0, 1, "a", 3)],
    [CONNECT, packet(0x82, 0, 1, "a", 4)],
  ],
};

describe("the check of packets from clients", () => {
  for (const [what, ...packets] of VALID) {
    it(`admits ${what}, however the bytes are cut`, () => {
      const bytes = Buffer.concat([...packets, ...(packets[0] === CONNECT ? [PING] : [])]);
      for (let piece = 1; piece <= bytes.length; piece++) {
        const { check, passed } = feed(bytes, piece);
        assert.deepEqual([check.fault, passed, check.receivedBytes], [undefined, bytes.length, bytes.length]);
      }
    });
  }

  for (const [fault, cases] of Object.entries(FAULTS)) {
    it(`finds the fault "${fault}" and hands on what came before, however the bytes are cut`, () => {
      for (const packets of cases) {
        const good = Buffer.concat(packets.slice(0, -1));
        const bytes = Buffer.concat([...packets, PING]);
        for (let piece = 1; piece <= bytes.length; piece++) {
          const { check, passed } = feed(bytes, piece);
          assert.equal(check.fault, fault, `${bytes.toString("hex")} in pieces of ${piece}`);
          // At most an unfinished packet goes through, and nothing of one that lies in one piece.
          assert.ok(passed >= good.length && passed < bytes.length - PING.length, `${passed} bytes went through`);
          if (piece === bytes.length) assert.equal(passed, good.length);
        }
      }
    });
  }

  it("refuses a packet at its length, one byte at a time", () => {
    const bytes = Buffer.concat([CONNECT, PING, encodePublish("t", Buffer.alloc(298), false)]);
    const check = new PacketCheck(300);
    const refusedAt = [...bytes].findIndex((byte) => check.take(Uint8Array.of(byte)) === 0);
    assert.equal(refusedAt, CONNECT.length + PING.length + 2, "type, low and high length byte");
    assert.equal(check.fault, "too-large");
  });

  it("takes fewer levels where fewer are set", () => {
    const faults = ["a/b/c", "a/b/c/d"].map((topic) => {
      const check = new PacketCheck(1_000, { maxTopicLevels: 3 });
      check.take(Buffer.concat([CONNECT, packet(0x30, topic)]));
      return check.fault;
    });
    assert.deepEqual(faults, [undefined, "levels"]);
  });

  it("answers an unknown version with CONNACK 1 and a missing client id with CONNACK 2, nothing else", () => {
    for (const [fault, cases] of Object.entries(FAULTS)) {
      const expected = fault === "version" ? 1 : fault === "client-id" ? 2 : 0;
      for (const packets of cases) {
        assert.equal(feed(Buffer.concat(packets), 1_000).check.connackCode, expected, fault);
      }
    }
  });

  it("hands on nothing after DISCONNECT, and finds no fault in it", () => {
    const bytes = Buffer.concat([CONNECT, Buffer.of(0xe0, 0), subscribePacket("a", 0), Buffer.of(0xff)]);
    for (let piece = 1; piece <= bytes.length; piece++) {
      const { check, passed } = feed(bytes, piece);
      assert.deepEqual([check.fault, passed], [undefined, CONNECT.length + 2]);
    }
  });

  it("says in words what was wrong with which packet", () => {
    const { check } = feed(Buffer.concat([CONNECT, packet(0x82, 0, 1, "a#", 0)]), 1_000);
    assert.equal(check.complaint, "SUBSCRIBE: an invalid topic filter");
  });
});
