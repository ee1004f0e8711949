import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BenchRun } from "./bench-run.ts";
import { hasVcan, runInGuest } from "./guest.ts";
import { describeMachine } from "./machine.ts";
import { readOptions, USAGE, type Options } from "./options.ts";
import { ROOT_FOLDER } from "./paths.ts";
import { missingPeers } from "./peers.ts";
import { plotSvg } from "./plot.ts";
import { reportMarkdown, writeInto, type Report, type RigResult } from "./report.ts";
import { tabulate } from "./results.ts";
import { SCENARIOS, VCAN_SCENARIOS } from "./scenarios/index.ts";

/** Options that write something; those with a file may have it in the next argument. */
const FILE_OUTPUTS: ReadonlySet<string> = new Set(["--json", "--svg"]);
const OUTPUTS: ReadonlySet<string> = new Set([...FILE_OUTPUTS, "--write"]);

const log = (text: string): void => void process.stderr.write(`${text}\n`);

async function runRig(options: Options, rig: "shim" | "vcan"): Promise<RigResult> {
  const run = new BenchRun({ ...options, rig, log });
  for (const name of options.scenarios) {
    if (rig === "vcan" && !VCAN_SCENARIOS.has(name)) continue;
    log(`== ${name} (${rig})`);
    await SCENARIOS[name](run);
  }
  return { rig, repeats: options.repeats, tables: tabulate(run.samples), failures: run.failures };
}

async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (typeof options === "string") {
    process.stderr.write(`${options}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const report = options.from.length > 0 ? joinReports(options.from) : await measure(options, args);
  process.stdout.write(reportMarkdown(report));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.svg !== undefined) writeFileSync(options.svg, plotSvg(report));
  if (options.write) {
    writeInto(join(ROOT_FOLDER, "docs", "performance.md"), report);
    writeFileSync(join(ROOT_FOLDER, "docs", "performance.svg"), plotSvg(report));
  }
}

async function measure(options: Options, args: readonly string[]): Promise<Report> {
  const report: Report = { machine: describeMachine(), remarks: missingPeers(options.peers), rigs: [] };
  report.remarks.forEach(log);
  if (options.rig !== "vcan") report.rigs.push(await runRig(options, "shim"));
  if (options.rig !== "shim") {
    const result = hasVcan() ? await runRig(options, "vcan") : runInGuest(withoutOutputs(args));
    if (typeof result === "string") report.remarks.push(result);
    else report.rigs.push(result);
  }
  return report;
}

/**
 * One report of several files: machine and remarks are the first one's; a table that was measured again replaces the
 * one of that title.
 */
function joinReports(files: readonly string[]): Report {
  const reports = files.map((file) => JSON.parse(readFileSync(file, "utf8")) as Report);
  const rigs = new Map<string, RigResult>();
  for (const result of reports.flatMap((report) => report.rigs)) {
    const known = rigs.get(result.rig);
    rigs.set(result.rig, known ? joinRigs(known, result) : result);
  }
  return { ...reports[0]!, rigs: [...rigs.values()] };
}

function joinRigs(first: RigResult, second: RigResult): RigResult {
  const tables = new Map([...first.tables, ...second.tables].map((table) => [table.title, table]));
  return { ...first, tables: [...tables.values()], failures: [...first.failures, ...second.failures] };
}

/** The guest's figures come back by a file of its own; what is to be written is written here. */
function withoutOutputs(args: readonly string[]): string[] {
  return args.filter((argument, i) => !OUTPUTS.has(argument.split("=")[0]!) && !FILE_OUTPUTS.has(args[i - 1] ?? ""));
}

await main(process.argv.slice(2));
