import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const SOAK = fileURLToPath(new URL("soak.js", import.meta.url));
const OPTIONS = ["--minutes", "0.5", "--seed", "7", "--every", "5", "--batches", "100", "--no-cases"];

it("R26 a fault follows the other for half a minute", async (t) => {
  const soak = spawn(process.execPath, ["--enable-source-maps", SOAK, ...OPTIONS], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => soak.kill());
  let table = "";
  soak.stdout.setEncoding("utf8").on("data", (text: string) => (table += text));
  const [code] = (await once(soak, "close")) as [number | null];
  console.log(table.trimEnd());
  assert.equal(code, 0);
  assert.match(table, /^R26 produced \d+ delivered \d+ lost-counted \d+ unexplained 0 twice 0 disordered 0$/m);
});
