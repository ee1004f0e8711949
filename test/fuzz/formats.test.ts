import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  appendLogLine,
  CLOCK_BYTES,
  decodeAck,
  decodeBackfillRequest,
  decodeBatch,
  decodeSendRequest,
  EdgeEncoder,
  EdgeItemStream,
  encodeAck,
  encodeBackfillRequest,
  encodeBatch,
  encodeEdgeClock,
  encodeHeartbeat,
  encodeHostFrame,
  encodeSendRequest,
  FrameBatch,
  HostItemStream,
  HostRecordStream,
  maxEncodedBytes,
  parseDropLine,
  readBatchHeader,
  RecordStream,
  TAG_ASKED,
  TAG_CLOCK,
} from "@canfleet/sdk";
import { assertPrototypesAreClean, cases, heapBytes, internal, Random, SEED, takesOrRefuses } from "./support.ts";

const EPOCH = 1_700_000_000_000_000;
/** How much the heap may have grown after all cases of one reader. */
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;

function frames(count: number): FrameBatch {
  const batch = new FrameBatch(count);
  for (let i = 0; i < count; i++)
    batch.push({ idWord: 0x100 + i, data: Uint8Array.of(i, 2, 3), timestampUs: EPOCH + i });
  batch.epoch = EPOCH;
  batch.seq = 7;
  return batch;
}

function clockItem(tag: typeof TAG_CLOCK | typeof TAG_ASKED): Uint8Array {
  const target = new Uint8Array(CLOCK_BYTES);
  encodeEdgeClock(tag, 1_000_000, target, 0);
  return target;
}

function edgeItems(): Uint8Array {
  const batch = frames(5);
  const target = new Uint8Array(maxEncodedBytes(batch));
  const encoder = new EdgeEncoder();
  return Buffer.concat([
    clockItem(TAG_CLOCK),
    target.subarray(0, encoder.encode(batch, target)),
    encodeHeartbeat(1, 12),
  ]);
}

function hostItems(): Uint8Array {
  const target = new Uint8Array(400);
  let at = 0;
  for (let i = 0; i < 3; i++) at = encodeHostFrame(frames(3), i, i + 1, 100, target, new DataView(target.buffer), at);
  return Buffer.concat([clockItem(TAG_ASKED), target.subarray(0, at), encodeHeartbeat(1)]);
}

/** 13- and 21-byte records: id word, DLC, payload, and for the longer form a time. */
function records(timeBytes: number): Uint8Array {
  const record = Buffer.alloc(13 + timeBytes);
  record.writeUInt32LE(0x123);
  record[4] = 3;
  if (timeBytes > 0) record.writeUInt32LE(1_700_000_000, 13);
  return Buffer.concat([record, record, record, record]);
}

const nowhere = (): void => undefined;
const BATCH = encodeBatch(frames(20), 0, 20, { held: 2, gone: [{ epoch: EPOCH, from: 1, to: 5, place: "spool" }] });
const REQUEST = encodeSendRequest(new Uint8Array(16), 100, frames(3));
const ACK = encodeAck(new Map([["can0", [{ epoch: EPOCH, ranges: [[1, 9]] }]]]));
const BACKFILL = Buffer.from(encodeBackfillRequest({ id: "a", epoch: EPOCH, from: 1, to: 9 }));
const LINE = Buffer.from("(1700000000.123456) can0 123#1122334455667788 R");
const DROP = Buffer.from("DROPCOUNT: dropped 5 CAN frames on 'can0' socket (total drops 9)");

/** Reader, good bytes, what takes mutated ones. */
const READERS: [name: string, good: Uint8Array[], take: (bytes: Uint8Array, random: Random) => void][] = [
  ["decodeBatch", [BATCH], (bytes) => decodeBatch(bytes)],
  ["readBatchHeader", [BATCH], (bytes) => readBatchHeader(bytes)],
  ["decodeSendRequest", [REQUEST], (bytes) => decodeSendRequest(bytes)],
  ["decodeAck", [ACK], (bytes) => decodeAck(bytes)],
  ["decodeBackfillRequest", [BACKFILL], (bytes) => decodeBackfillRequest(bytes)],
  [
    "RecordStream",
    [records(0), records(8), records(16)],
    (bytes, random) => {
      const stream = new RecordStream("auto", {
        frames: nowhere,
        greeting: nowhere,
        challenge: nowhere,
        accept: nowhere,
      });
      for (const chunk of random.chunks(bytes)) stream.read(chunk);
    },
  ],
  [
    "HostRecordStream",
    [records(0)],
    (bytes, random) => {
      const stream = new HostRecordStream({ frames: nowhere, hello: nowhere }, true);
      for (const chunk of random.chunks(bytes)) stream.read(chunk);
      stream.quiet();
    },
  ],
  [
    "EdgeItemStream",
    [edgeItems()],
    (bytes, random) => {
      const stream = new EdgeItemStream({ frames: nowhere, result: nowhere, clock: nowhere });
      for (const chunk of random.chunks(bytes)) stream.read(chunk);
    },
  ],
  [
    "HostItemStream",
    [hostItems()],
    (bytes, random) => {
      const stream = new HostItemStream({ frames: nowhere });
      for (const chunk of random.chunks(bytes)) stream.read(chunk);
    },
  ],
  [
    "candump log lines",
    [LINE, DROP],
    (bytes) => {
      const line = Buffer.from(bytes).toString("latin1");
      parseDropLine(line);
      appendLogLine(new FrameBatch(1), line);
    },
  ],
];

/** As much of the command line's modules as is used here. */
interface YamlSource {
  readYaml(text: string, name: string): { root: unknown } | { problems: { wanted: string }[] };
}
interface Schema {
  readSettings(root: unknown, key: string, problems: unknown[]): unknown;
}

const YAML = Buffer.from(`hub:
  listen: 127.0.0.1:1883
  base: &b canfleet
edge: {name: pi, __proto__: {polluted: 1}, hub: mqtt://h, buses: [can0, *b]}
client:
  hub: "mqtt://localhost"
`);

describe("fuzz of the readers in this process", () => {
  for (const [at, [name, good, take]] of READERS.entries()) {
    it(`${name}: mutated bytes are taken or refused with a CanfleetError`, () => {
      const random = new Random(SEED + at);
      const count = cases(20_000);
      let taken = 0;
      const before = heapBytes();
      for (let number = 0; number < count; number++) {
        const bytes = random.mutate(random.pick(good));
        if (takesOrRefuses(name, number, () => take(bytes, random))) taken++;
      }
      assert.ok(taken > 0, "good bytes, which are among them, are taken");
      assert.ok(heapBytes() - before < MAX_GROWTH_BYTES, "memory stays bounded");
      assertPrototypesAreClean();
    });
  }

  it("configuration: mutated YAML is settings, or a list of problems", async () => {
    const yaml = await internal<YamlSource>("cli/dist/config/yaml-source.js");
    const schema = await internal<Schema>("cli/dist/config/schema.js");
    const random = new Random(SEED);
    for (let number = 0; number < cases(5_000); number++) {
      const text = random.mutate(YAML).toString("utf8");
      takesOrRefuses(`configuration ${JSON.stringify(text)}`, number, () => {
        const result = yaml.readYaml(text, "canfleet.yaml");
        if ("root" in result && result.root) schema.readSettings(result.root, "", []);
      });
    }
    assertPrototypesAreClean();
  });

  it("configuration: aliases of aliases do not become millions of values", async () => {
    const yaml = await internal<YamlSource>("cli/dist/config/yaml-source.js");
    const lines = ["a0: &a0 [x, x]"];
    for (let at = 1; at < 10; at++)
      lines.push(
        `a${at}: &a${at} [${Array(9)
          .fill(`*a${at - 1}`)
          .join(", ")}]`,
      );
    const result = yaml.readYaml(lines.join("\n"), "canfleet.yaml");
    assert.ok("problems" in result);
    assert.ok(result.problems.some(({ wanted }) => wanted.includes("10000 values")));
  });
});
