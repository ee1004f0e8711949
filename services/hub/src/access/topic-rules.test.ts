import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { encodeBackfillRequest } from "@canfleet/sdk";
import type { Identity, IdentityKind, Role } from "./identity.ts";
import { parseSendGrant } from "./send-grants.ts";
import { TopicRules } from "./topic-rules.ts";

const COLUMNS: { [column: string]: { kind: IdentityKind; role: Role } } = {
  edge: { kind: "edge", role: "edge" },
  reader: { kind: "user", role: "reader" },
  operator: { kind: "user", role: "operator" },
  admin: { kind: "token", role: "admin" },
  hub: { kind: "hub", role: "admin" },
};

it("who may what is as the table of docs/security.md says", async () => {
  const page = await readFile(new URL("../../../../docs/security.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => /^\| (publish|subscribe) /.test(line));
  assert.equal(rows.length, 32);
  const rules = new TopicRules("canfleet");
  const mistakes: string[] = [];
  for (const row of rows) {
    const [action, shown = "", retained, ...cells] = row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    const topic = shown.replace(/^`(.*)`.*$/, "$1").replace("EDGE", "pi-7");
    const isBackfill = shown.endsWith("(backfill)");
    const payload = Buffer.from(
      isBackfill ? encodeBackfillRequest({ id: "1", epoch: 1, from: 0, to: 9 }) : '{"op":"x"}',
    );
    Object.entries(COLUMNS).forEach(([column, who], i) => {
      for (const grants of [[], ["pi-7/can0:123"]]) {
        const identity: Identity = {
          name: "pi-7",
          ...who,
          send: grants.map(parseSendGrant),
        };
        const may =
          action === "publish"
            ? rules.mayPublish(identity, { topic, payload, retain: retained === "yes" })
            : rules.maySubscribe(identity, topic);
        const wanted = cells[i] === "yes" || (cells[i] === "granted" && grants.length > 0);
        if (may !== wanted) mistakes.push(`${row} ${column} ${grants.join()}: ${String(may)}`);
      }
    });
  }
  assert.deepEqual(mistakes, []);
});
