import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { COMMANDS } from "./command-table.ts";
import { completionScript, type Shell } from "./completion.ts";

function has(shell: Shell): boolean {
  return spawnSync(shell, ["-c", "exit 0"]).status === 0;
}

/** What bash offers at the last word. */
function bashOffers(...words: string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(" ");
  const drive = `COMP_WORDS=(canfleet ${line}); COMP_CWORD=${words.length}; _canfleet; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status } = spawnSync("bash", ["-c", `${completionScript("bash")}\n${drive}`], { encoding: "utf8" });
  assert.equal(status, 0);
  return stdout.split("\n").filter((word) => word !== "");
}

describe("completion in bash", { skip: !has("bash") && "bash is not installed" }, () => {
  it("offers commands", () => assert.deepEqual(bashOffers("du"), ["dump"]));
  it("offers a command's options", () => assert.deepEqual(bashOffers("send", "--t"), ["--ttl"]));
  it("offers the words of a choice", () =>
    assert.deepEqual(bashOffers("dump", "can0", "-t", ""), ["a", "d", "z", "A"]));
  it("offers commands behind help", () => assert.deepEqual(bashOffers("help", "bri"), ["bridge"]));
});

for (const shell of ["zsh", "fish"] as const) {
  it(`${shell} reads its completion script`, { skip: !has(shell) && `${shell} is not installed` }, () => {
    // From a file: fish takes no script from a socket, which is what node gives a child as input.
    const folder = mkdtempSync(join(tmpdir(), "canfleet-completion-"));
    try {
      const file = join(folder, "script");
      writeFileSync(file, completionScript(shell));
      const { status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      writeFileSync(file, "if (");
      assert.notEqual(spawnSync(shell, ["-n", file]).status, 0, "a wrong script is noticed");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

it("every shell's script names every command", () => {
  for (const shell of ["bash", "zsh", "fish"] as const) {
    const script = completionScript(shell);
    for (const { name } of COMMANDS) assert.ok(script.includes(name), `${shell}: ${name}`);
  }
});
