import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { RawLink } from "@canfleet/edge";
import { FrameBatch } from "@canfleet/sdk";

const PEER = fileURLToPath(new URL("../peers/seed_tcpbus.py", import.meta.url));
const T0 = 1_700_000_000_654_321;
const hasPython = spawnSync("python3", ["--version"]).status === 0;

it(
  "a host that knows 21-byte records only gets the edge's frames, and nothing that it would take for one",
  { skip: hasPython ? false : "python3 is not installed", timeout: 60_000 },
  async () => {
    const bulk = 500;
    const peer = spawn("python3", [PEER, String(1 + 4 + bulk)], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(peer, "close");
    const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
    const first = (await lines.next()).value as string;
    const port = Number(/^listening (\d+)$/.exec(first)?.[1]);

    const asked: string[] = [];
    const link = new RawLink(
      { role: "dial", host: "127.0.0.1", port, log: () => undefined },
      {
        submit: ({ frames }) => {
          for (let i = 0; i < frames.count; i++) {
            asked.push(
              `${frames.idWord[i]!.toString(16)} ${frames.length[i]!} ${Buffer.from(frames.payload(i)).toString("hex")}`,
            );
          }
        },
      },
    );
    await link.start();
    while (asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(asked, ["123 3 010203", "40000321 4 ", "98da1234 8 0001020304050607"]);

    link.publish(
      FrameBatch.of(
        { timestampUs: T0, idWord: 0x123, data: Uint8Array.of(1, 2) },
        { timestampUs: T0, idWord: 0x700, data: new Uint8Array(64), flags: 1 },
        { timestampUs: T0 + 1, idWord: 0x80000123, data: Uint8Array.of(3) },
        { timestampUs: T0 + 2, idWord: 0x40000321, length: 5 },
        { timestampUs: T0 + 3, idWord: 0x20000004, data: new Uint8Array(8) },
      ),
    );
    for (let n = 0; n < bulk; n++) {
      link.publish(FrameBatch.of({ timestampUs: T0 + n, idWord: n, data: Uint8Array.of(n & 255) }));
    }
    const heard: string[] = [];
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) heard.push(line.value);
    await ended;
    await link.close();

    assert.match(heard[0]!, /^error \S+ 0 8 434e464c01000000$/);
    assert.deepEqual(heard.slice(1, 5), [
      "data 1700000000.654321 123 2 0102",
      "data 1700000000.654322 123 1 03",
      "remote 1700000000.654323 321 5 0000000000",
      "error 1700000000.654324 4 8 0000000000000000",
    ]);
    assert.equal(heard.length, 5 + bulk);
    heard.slice(5).forEach((line, n) => assert.match(line, new RegExp(` ${n.toString(16)} 1 `)));
    assert.equal(link.counters.dropped, 1);
  },
);
