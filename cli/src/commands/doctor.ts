import { listCanInterfaces } from "@canfleet/edge";
import { clientHub, DEFAULT_HUB_URL } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import {
  clockFinding,
  hubFinding,
  interfaceFindings,
  nodeFinding,
  receiveQueueFinding,
  type Finding,
} from "../diagnosis.ts";
import { driverFindings } from "../driver-findings.ts";
import { EXIT_DONE, EXIT_FAILED } from "../exit-codes.ts";
import type { DOCTOR } from "../table/look.ts";

/** `canfleet doctor` */
export async function runDoctor({ options }: Arguments<typeof DOCTOR>, context: Context): Promise<number> {
  const hub = await clientHub(options, context);
  const isDefault = hub.urls === DEFAULT_HUB_URL && options.hub.length === 0;
  const interfaces = listCanInterfaces();
  const findings = [
    nodeFinding(),
    ...interfaceFindings(interfaces, process.platform),
    ...(await driverFindings()),
    await receiveQueueFinding(),
    await clockFinding(),
    await hubFinding(hub, isDefault),
  ].filter((finding) => finding !== undefined);
  context.terminal.write(
    options.json ? findings.map((finding) => `${JSON.stringify(finding)}\n`).join("") : report(findings),
  );
  return findings.some(({ level }) => level === "fail") ? EXIT_FAILED : EXIT_DONE;
}

function report(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ level, text, cure }) => `${level.padEnd(4)}  ${text}\n${cure === undefined ? "" : `        -> ${cure}\n`}`,
  );
  const count = (level: Finding["level"]): number => findings.filter((finding) => finding.level === level).length;
  const plural = (number: number, word: string): string => `${number} ${word}${number === 1 ? "" : "s"}`;
  const total = `${count("ok")} ok, ${plural(count("warn"), "warning")}, ${plural(count("fail"), "failure")}\n`;
  return lines.join("") + total;
}
