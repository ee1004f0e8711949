import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isCanfleetError, Message, TCPBus } from "@canfleet/sdk";
import { ownFolder } from "./support/canfleet.ts";
import { isFdKind, KINDS, kindTexts } from "./support/kinds.ts";
import { assertSame, Ledger } from "./support/ledger.ts";
import { Program } from "./support/program.ts";
import { skipWithout, strangerFile } from "./support/strangers.ts";
import { until } from "./support/until.ts";

/** Frames that a socketsocketcan client reads from its kernel: classic ones, with DLC 8 at most. */
const RECORDED = KINDS.filter((kind) => !isFdKind(kind)).map((kind) => {
  const [word, flags, dlc, data] = kind.split(" ");
  return `${word} ${flags} ${Math.min(8, parseInt(dlc!, 16))} ${data}`;
});

const FRAMES_BACK = 500;
const PORTION = 100;

/** What such a client leaves behind the payload. */
const STALE = "DEADBEEFDEADBEEF";

describe("TCPBus and a socketsocketcan client", { skip: skipWithout("cc") }, () => {
  const program = join(ownFolder(), "seed_client");

  after(() => Program.killAll());

  for (const size of [21, 29] as const) {
    it(`understands one of ${size}-byte records, and is understood`, async () => {
      compile(program);
      const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false });
      const ledger = new Ledger(`TCPBus, ${size} bytes`);
      bus.on("batch", (batch) => ledger.addBatch(batch));
      bus.on("loss", ({ lost }) => ledger.losses.push(JSON.stringify(lost)));
      const client = Program.start(program, ["127.0.0.1", `${bus.port!}`, `${size}`]);
      await client.line(/^CONNECTED$/);
      RECORDED.forEach((kind, i) => {
        const [word, , dlc, data = ""] = kind.split(" ");
        const stale = `${data === "-" ? "" : data}${STALE}`.slice(0, 16);
        client.stdin.write(`1700000000 ${i} ${word} ${dlc} ${stale}\n`);
      });
      await until("the frames", () => ledger.count >= RECORDED.length);
      assertSame(kindTexts(RECORDED), ledger);
      assert.equal(ledger.timesUs[0], 1_700_000_000_000_000);

      // Such a client throws away reads that are no multiple of 13 bytes; a portion fits one segment and one read.
      for (let sent = 0; sent < FRAMES_BACK;) {
        for (const end = sent + PORTION; sent < end; sent++) {
          await bus.send(new Message({ arbitrationId: sent, data: [sent & 255, sent >> 8] }), { ttlMs: 60_000 });
        }
        await client.until("the frames from the host", () => client.lines.length > sent);
      }
      const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0");
      const wanted = Array.from({ length: FRAMES_BACK }, (_, i) => i);
      const lines = wanted.map((i) => `${hex(i, 8)} 2 ${hex(i & 255, 2)}${hex(i >> 8, 2)}${"0".repeat(12)}`);
      assert.deepEqual(client.lines.slice(1), lines);
      console.log(`socketsocketcan client: produced ${lines.length} delivered ${client.lines.length - 1}`);

      const refusals: unknown[] = [];
      bus.on("error", (error) => refusals.push(isCanfleetError(error) ? error.code : error));
      await bus.send(new Message({ arbitrationId: 1, isFd: true, data: new Uint8Array(12) }));
      await bus.send(new Message({ arbitrationId: 1, data: new Uint8Array(8), dlc: 12 }));
      await until("both refusals", () => refusals.length >= 2);
      assert.deepEqual(refusals, ["WIRE_CANNOT_CARRY", "WIRE_CANNOT_CARRY"]);
      await bus.shutdown();
      await client.line(/^CLOSED$/);
    });
  }
});

function compile(program: string): void {
  const result = spawnSync("cc", ["-O1", "-o", program, strangerFile("seed_client.c")], { encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
}
