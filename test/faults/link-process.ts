/**
 * One end of many raw links, as a process of its own: `node link-process.js '<LinkSpec[] as JSON>'`. Each message is
 * answered by a report; "quiet" ends the frames first.
 */
import { writeSync } from "node:fs";
import { RawLink, type RecordForm } from "@canfleet/edge";
import { FrameBatch, TCPBus } from "@canfleet/sdk";

/** One end of one link. */
export interface LinkSpec {
  id: string;
  end: "edge" | "host";
  role: "dial" | "listen";
  /** Address of the other end. */
  host: string;
  port: number;
  record: RecordForm;
  /** Makes frames, some a second. */
  isBusy: boolean;
}

export interface LinkReport {
  /** Connections that became a link. */
  connects: number;
  /** Why each connection ended. */
  ends: string[];
  /** When the last one ended, ms of the machine's monotonic clock. */
  endedAtMs: number;
  /** Frames made. */
  made: number;
  received: number;
  /** Number of the first one received: those before it were made before there was a link. */
  first: number;
  /** How long the oldest one had been under way that was not too old for its bus, ms. */
  oldestMs: number;
  /** Frames that came too late to be sent. */
  late: number;
  /** Frames that came again, or after a later one. */
  disordered: number;
  /** Frames stated as lost. */
  lost: number;
  /** Losses of unknown size. */
  unknownLosses: number;
}

const PERIOD_MS = 50;
const TIMING = { firstRetryMs: 100, maxRetryMs: 1_000 };
const EPOCH = 1_700_000_000_000_000;

const reports: { [id: string]: LinkReport } = {};
let isQuiet = false;

function reportOf(id: string): LinkReport {
  return (reports[id] = {
    connects: 0,
    ends: [],
    endedAtMs: 0,
    made: 0,
    received: 0,
    first: 0,
    oldestMs: 0,
    late: 0,
    disordered: 0,
    lost: 0,
    unknownLosses: 0,
  });
}

/** Time of the machine's monotonic clock, which is that of the other end too. */
function nowMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function numbered(report: LinkReport): FrameBatch {
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  view.setUint32(0, report.made);
  view.setUint32(4, nowMs() >>> 0);
  const batch = FrameBatch.of({ timestampUs: Date.now() * 1000, idWord: 0x123, data });
  batch.epoch = EPOCH;
  batch.seq = report.made++;
  return batch;
}

function taker(report: LinkReport): (batch: FrameBatch) => void {
  let next = 0;
  return (batch) => {
    for (let i = 0; i < batch.count; i++) {
      const { buffer, byteOffset } = batch.payload(i);
      const view = new DataView(buffer, byteOffset);
      const number = view.getUint32(0);
      report.oldestMs = Math.max(report.oldestMs, (nowMs() - view.getUint32(4)) >>> 0);
      if (report.received++ === 0) report.first = number;
      if (number < next) report.disordered++;
      next = number + 1;
    }
  };
}

function ended(report: LinkReport, reason: string): void {
  report.ends.push(reason);
  report.endedAtMs = nowMs();
}

async function startEdge({ role, host, port, record, isBusy }: LinkSpec, report: LinkReport): Promise<void> {
  const take = taker(report);
  const link = new RawLink(
    {
      role,
      ...(role === "dial" ? { host } : {}),
      port,
      record,
      timing: TIMING,
      log: (text) => {
        if (text.includes(" disconnected: ")) ended(report, text);
      },
    },
    {
      submit: ({ frames, ttlMs }) => {
        if (ttlMs > 0) take(frames);
        else report.late += frames.count;
      },
    },
  );
  await link.start();
  setInterval(() => {
    report.connects = link.counters.connects;
    if (isBusy && !isQuiet) link.publish(numbered(report));
  }, PERIOD_MS);
}

async function startHost({ role, host, port, record, isBusy }: LinkSpec, report: LinkReport): Promise<void> {
  const options = { record, timing: TIMING, wait: false };
  const bus = await (role === "dial" ? TCPBus.connect(host, port, options) : TCPBus.listen(port, options));
  bus.on("batch", taker(report));
  bus.on("disconnect", (reason) => ended(report, reason));
  bus.on("loss", ({ lost }) => {
    for (const frames of Object.values(lost)) {
      if (frames === null) report.unknownLosses++;
      else report.lost += frames;
    }
  });
  bus.on("error", () => undefined); // Sends that expire while there is no link.
  setInterval(() => {
    report.connects = bus.counters.connects;
    if (isBusy && !isQuiet && bus.isConnected) void bus.sendBatch(numbered(report));
  }, PERIOD_MS);
}

for (const spec of JSON.parse(process.argv[2]!) as LinkSpec[]) {
  await (spec.end === "edge" ? startEdge : startHost)(spec, reportOf(spec.id));
}
process.on("disconnect", () => process.exit(1));
process.on("message", (message) => {
  if (message === "quiet") isQuiet = true;
  process.send?.(reports);
});
writeSync(1, "ready\n");
