import { writeFileSync } from "node:fs";
import { BenchRun } from "./bench-run.ts";
import { describeMachine } from "./machine.ts";
import { readOptions, USAGE } from "./options.ts";
import { missingPeers } from "./peers.ts";
import { tabulate, toMarkdown } from "./results.ts";
import { SCENARIOS } from "./scenarios/index.ts";

const options = readOptions(process.argv.slice(2));
if (typeof options === "string") {
  process.stderr.write(`${options}\n\n${USAGE}`);
  process.exit(2);
}
const log = (text: string): void => void process.stderr.write(`${text}\n`);
const machine = describeMachine();
for (const text of missingPeers(options.peers)) log(text);

const run = new BenchRun({ ...options, log });
for (const name of options.scenarios) {
  log(`== ${name} (${options.rig})`);
  await SCENARIOS[name](run);
}
const tables = tabulate(run.samples);
for (const table of tables) process.stdout.write(`${toMarkdown(table)}\n`);
if (options.json !== undefined) {
  const result = { machine, rig: options.rig, repeats: options.repeats, tables, failures: run.failures };
  writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
}
