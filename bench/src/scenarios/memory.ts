import type { BenchRun } from "../bench-run.ts";
import { startHub } from "../broker.ts";
import { LinkPath, startApp, startEdge, untilPassing } from "../link-path.ts";
import { costOf, residentBytes } from "../process-cost.ts";
import type { Measures } from "../results.ts";

const RATE = 20_000;
const PASSES = 10;
const PASS_MS = 60_000;

/** Young generation of an edge on a small machine (docs/performance.md, "Memory"). */
const SMALL = "--max-semi-space-size=2";

/** An edge with raw link and hub at 20,000 frames/s for ten minutes: its memory must stay where it is. */
export async function memoryScenario(run: BenchRun): Promise<void> {
  const title = "20,000 frames/s over raw link and hub for ten minutes";
  await run.compete(
    [
      { name: "edge", measure: () => measure(run, title, "") },
      { name: `edge, NODE_OPTIONS=${SMALL}`, measure: () => measure(run, title, SMALL) },
    ],
    1,
  );
}

async function measure(run: BenchRun, title: string, nodeOptions: string): Promise<{ [table: string]: Measures }> {
  const rig = run.newRig();
  const hub = await startHub();
  const { app, port } = await startApp({ tcp: true, mode: "batch" });
  const buses = [{ channel: rig.channel(), driver: "native" as const, links: [{ host: "127.0.0.1", port }] }];
  const config = { name: "bench", hub: `mqtt://127.0.0.1:${hub.port}`, buses };
  const edge = await startEdge(rig, config, nodeOptions === "" ? {} : { NODE_OPTIONS: nodeOptions });
  const path = new LinkPath(rig, [edge], app);
  const residentMb: number[] = [];
  let sent = 0;
  let seen = 0;
  try {
    await untilPassing(path);
    for (let pass = 0; pass < PASSES; pass++) {
      const { fed, app: report } = await path.pass({ rate: RATE, ms: PASS_MS });
      sent += fed.sent;
      seen += report.frames;
      residentMb.push(residentBytes([edge.pid]) / 1e6);
    }
    const { peakRssBytes } = costOf([edge.pid]);
    return {
      [title]: {
        lostShare: (100 * (sent - seen)) / sent,
        firstMb: residentMb[0]!,
        rssMb: residentMb.at(-1)!,
        peakMb: peakRssBytes / 1e6,
      },
    };
  } finally {
    await path.stop();
    await hub.stop();
  }
}
