import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { COMMANDS } from "./command-table.ts";
import { commandHelp, markdownReference, overviewHelp } from "./help.ts";

describe("help", () => {
  it("names every command in the overview", () => {
    for (const { name, summary } of COMMANDS) assert.match(overviewHelp(), new RegExp(`^  ${name} +${summary}$`, "m"));
  });

  it("fits a terminal of 110 columns", () => {
    for (const spec of COMMANDS) {
      for (const line of commandHelp(spec).split("\n")) assert.ok(line.length <= 110, `${spec.name}: ${line}`);
    }
  });

  it("is what docs/cli.md says (canfleet help --markdown > docs/cli.md)", async () => {
    const committed = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
    assert.equal(committed, markdownReference());
  });
});
