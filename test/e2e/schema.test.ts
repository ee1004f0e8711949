import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { encodeSendRequest, FrameBatch, HubConnection } from "@canfleet/sdk";
import { canfleet, startHub } from "./support/canfleet.ts";
import { readCbor, type CborNode } from "./support/cbor-tree.ts";
import { Program } from "./support/program.ts";
import { Schema } from "./support/schema.ts";
import { until } from "./support/until.ts";

const ROOT = new URL("../../../", import.meta.url);
const schema = new Schema(fileURLToPath(new URL("docs/wire-mqtt.cddl", ROOT)));
const vectors = JSON.parse(readFileSync(new URL("test/vectors/wire-mqtt.json", ROOT), "utf8")) as {
  batches: { name: string; hex: string }[];
};

/** Batches asked from the running edge; its simulated buses send some hundred frames a second. */
const CAPTURED = 50;

after(() => Program.killAll());

describe("the schema of the CBOR payloads", () => {
  it("accepts every golden batch", () => {
    assert.ok(vectors.batches.length > 0);
    for (const { name, hex } of vectors.batches) {
      assert.equal(schema.mistake(readCbor(Buffer.from(hex, "hex")), "batch"), undefined, name);
    }
  });

  it("accepts what a running edge publishes and answers", async () => {
    const hub = await startHub();
    canfleet("edge", "sim:car=can0", "--name", "car", "--hub", hub.url, "--send", "all");
    const heard = new Map<string, Uint8Array[]>([
      ["frames", []],
      ["sent", []],
    ]);
    const listener = new HubConnection(hub.url, {
      onMessage: (topic, payload) => heard.get(topic.split("/")[3] ?? "")?.push(payload),
    });
    await listener.ready();
    await listener.subscribe(["canfleet/car/+/frames", "canfleet/car/+/sent"], 0);
    await until(`${CAPTURED} batches`, () => heard.get("frames")!.length >= CAPTURED);
    const request = encodeSendRequest(
      crypto.getRandomValues(new Uint8Array(16)),
      1000,
      FrameBatch.of({ idWord: 0x7f0 }),
    );
    assert.equal(schema.mistake(readCbor(request), "send-request"), undefined);
    listener.publish("canfleet/car/can0/send", request);
    await until("a send result", () => heard.get("sent")!.length > 0);
    await listener.close();
    for (const payload of heard.get("frames")!) assert.equal(schema.mistake(readCbor(payload), "batch"), undefined);
    for (const payload of heard.get("sent")!) assert.equal(schema.mistake(readCbor(payload), "send-result"), undefined);
    console.log(`checked ${heard.get("frames")!.length} batches and ${heard.get("sent")!.length} results`);
  });

  it("refuses batches that are wrong in one place", () => {
    const good = readCbor(Buffer.from(vectors.batches[0]!.hex, "hex"));
    const wrong: [what: string, node: CborNode][] = [
      ["another version", replaced(good, "v", () => ({ kind: "uint", value: 2n }))],
      ["a missing column", without(good, "len")],
      ["a negative time", replaced(good, "t", () => ({ kind: "nint", value: -1n }))],
      ["a column without its tag", replaced(good, "id", (id) => (id.kind === "tag" ? id.content : id))],
      ["ids of a byte each", replaced(good, "id", (id) => ({ kind: "tag", tag: 64n, content: contentOf(id) }))],
      ["big-endian ids", replaced(good, "id", (id) => ({ kind: "tag", tag: 65n, content: contentOf(id) }))],
      ["a payload that is text", replaced(good, "data", () => ({ kind: "tstr", value: "" }))],
      ["a loss that is text", added(good, "lost", { kind: "map", entries: [[text("hub"), text("some")]] })],
    ];
    for (const [what, node] of wrong) assert.notEqual(schema.mistake(node, "batch"), undefined, what);
    const told: CborNode = { kind: "map", entries: [[text("hub"), { kind: "null" }]] };
    assert.equal(schema.mistake(added(good, "lost", told), "batch"), undefined);
  });
});

function entriesOf(node: CborNode): [CborNode, CborNode][] {
  if (node.kind !== "map") assert.fail(`${node.kind} is no map`);
  return node.entries;
}

function isKey(key: CborNode, name: string): boolean {
  return key.kind === "tstr" && key.value === name;
}

function replaced(map: CborNode, name: string, change: (value: CborNode) => CborNode): CborNode {
  const entries = entriesOf(map).map(([key, value]): [CborNode, CborNode] => [
    key,
    isKey(key, name) ? change(value) : value,
  ]);
  return { kind: "map", entries };
}

function without(map: CborNode, name: string): CborNode {
  return { kind: "map", entries: entriesOf(map).filter(([key]) => !isKey(key, name)) };
}

function added(map: CborNode, name: string, value: CborNode): CborNode {
  return { kind: "map", entries: [...entriesOf(map), [text(name), value]] };
}

function contentOf(node: CborNode): CborNode {
  if (node.kind !== "tag") assert.fail(`${node.kind} is no tag`);
  return node.content;
}

function text(value: string): CborNode {
  return { kind: "tstr", value };
}
