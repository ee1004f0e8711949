import { readdirSync, readFileSync } from "node:fs";
import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { CutProxy } from "./cut-proxy.ts";
import { Rig, type Report, type RunningEdge } from "./rig.ts";
import { planFaults, slopeOf, type PlannedFault, type Sample } from "./soak-plan.ts";

export interface SoakOptions {
  minutes: number;
  seed: number;
  /** Between the beginnings of two faults, s. */
  everySeconds: number;
  /** Of each edge; 2 kB each. */
  batchesPerSecond: number;
}

const MIB = 1024 * 1024;
const FRAMES_PER_BATCH = 32;
const HISTORY_BYTES = 64 * MIB;
/**
 * What an edge that is killed may lose: what one turn of its event loop makes, ms. That is 20 at most where it has a
 * processor to itself; a load that was kept waiting makes up for this much at once.
 */
const FLUSH_MS = 200;
const SAMPLE_MS = 5_000;
/** Memory is judged from runs of this length on, after its first minutes. */
const JUDGED_MINUTES = 30;
const WARM_UP_HOURS = 10 / 60;
/** Growth that counts, beyond what the scatter of the samples explains (three standard errors), MiB/h. */
const MOST_GROWTH_MIB_PER_HOUR = 1;
/** Time for closed connections to be gone. */
const SETTLE_FDS_MS = 20_000;

interface Watched {
  name: string;
  process: () => ChildProcess;
  samples: Sample[];
  fdsAtBegin: number;
}

/** One run: the processes, the faults, the table. */
export class Soak {
  readonly #options: SoakOptions;
  readonly #ends: (() => Promise<void>)[] = [];
  readonly #watched: Watched[] = [];
  readonly #kinds = new Map<string, number>();
  #beganMs = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  /** @returns whether everything holds */
  async run(): Promise<boolean> {
    try {
      return await this.#run();
    } finally {
      for (const end of this.#ends.reverse()) await end();
    }
  }

  async #run(): Promise<boolean> {
    const { minutes, seed, everySeconds } = this.#options;
    const stage = await this.#setUp();
    const { rig } = stage;
    print(`soak of ${minutes} min, seed ${seed}: 4 edges of ${this.#options.batchesPerSecond} batches/s of 2 kB`);
    const sampler = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#ends.push(() => {
      clearInterval(sampler);
      return Promise.resolve();
    });
    const endMs = this.#beganMs + minutes * 60_000;
    for (const fault of planFaults(seed)) {
      const beginMs = performance.now();
      if (beginMs >= endMs) break;
      await this.#inflict(stage, fault);
      const report = await rig.balance(this.#slack);
      this.#printMinute(fault, report);
      if (!isBalanced(report) || rig.ledger.wrong > 0) return false;
      await sleep(Math.max(0, Math.min(endMs, beginMs + everySeconds * 1_000) - performance.now()));
    }
    const report = await rig.settle("R26", this.#slack);
    const kinds = [...this.#kinds].map(([kind, count]) => `${kind} ${count}`).join(", ");
    print(`faults: ${kinds}; frames lost where an edge was killed: at most ${this.#slack} each`);
    return isBalanced(report) && (await this.#judge());
  }

  get #slack(): number {
    return Math.ceil((this.#options.batchesPerSecond * FRAMES_PER_BATCH * FLUSH_MS) / 1_000);
  }

  async #setUp(): Promise<Stage> {
    const rig = await Rig.start({ after: (end) => this.#ends.push(end) });
    const link = await CutProxy.start(rig.port);
    this.#ends.push(() => link.close());
    const rate = { batchesPerSecond: this.#options.batchesPerSecond, framesPerBatch: FRAMES_PER_BATCH };
    const ledger = { historyBytes: HISTORY_BYTES };
    const steady = await rig.startEdge("steady", rate, { ledger });
    const killed = await rig.startEdge("killed", rate, { ledger });
    await rig.startEdge("third", rate, { ledger });
    await rig.startEdge("far", rate, { ledger, hub: `mqtt://127.0.0.1:${link.port}` });
    const victim = await rig.startSubscriber({ ids: ["victim"], filter: "canfleet/+/+/frames", qos: 0 });
    await sleep(2_000);
    // Only when frames of each have arrived, all of them are connected.
    if (!isBalanced(await rig.balance())) throw new Error("frames are missing before the first fault");
    this.#beganMs = performance.now();
    this.#watch("hub", () => rig.hub!);
    for (const edge of rig.edges) this.#watch(`edge ${edge.name}`, () => edge.process);
    return { rig, link, steady, killed, victim };
  }

  async #inflict({ rig, link, steady, killed, victim }: Stage, { kind, lastsMs }: PlannedFault): Promise<void> {
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    switch (kind) {
      case "hub-kill":
        await rig.killHub();
        await sleep(lastsMs);
        return rig.startHub();
      case "edge-kill":
        // What an edge alone has dies with it: the fault before must be over. It is: the account was balanced.
        return rig.restartEdge(killed, lastsMs);
      case "edge-pause":
        return pause(steady.process, lastsMs);
      case "hub-pause":
        return pause(rig.hub!, lastsMs);
      case "stall":
        return pause(victim, lastsMs);
      case "link-cut":
        link.cut();
        await sleep(lastsMs);
        link.mend();
    }
  }

  #watch(name: string, process: () => ChildProcess): void {
    this.#watched.push({ name, process, samples: [], fdsAtBegin: openFds(process()) });
    this.#sample();
  }

  #sample(): void {
    const hours = (performance.now() - this.#beganMs) / 3_600_000;
    for (const { process, samples } of this.#watched) {
      const value = residentBytes(process()) / MIB;
      if (value > 0) samples.push({ hours, value });
    }
  }

  #printMinute({ kind, lastsMs }: PlannedFault, report: Report): void {
    const { produced, delivered, lost, unexplained, twice, disordered } = report;
    const minute = ((performance.now() - this.#beganMs) / 60_000).toFixed(1).padStart(6);
    const memory = this.#watched.map(({ samples }) => (samples.at(-1)?.value ?? 0).toFixed(0)).join(" ");
    print(
      `${minute} min  ${`${kind} ${(lastsMs / 1_000).toFixed(1)} s`.padEnd(17)} produced ${produced} ` +
        `delivered ${delivered} lost-counted ${lost} unexplained ${unexplained} twice ${twice} ` +
        `disordered ${disordered}  MiB ${memory}`,
    );
  }

  /** The table at the end. @returns whether descriptors and memory are as they should be */
  async #judge(): Promise<boolean> {
    const judgesMemory = this.#options.minutes >= JUDGED_MINUTES;
    const endMs = performance.now() + SETTLE_FDS_MS;
    const leaks = (): Watched[] => this.#watched.filter(({ process, fdsAtBegin }) => openFds(process()) > fdsAtBegin);
    while (leaks().length > 0 && performance.now() < endMs) await sleep(200);
    let holds = leaks().length === 0;
    print("process        RSS begin   most    end  MiB   slope MiB/h          open files begin → end");
    for (const { name, process, samples, fdsAtBegin } of this.#watched) {
      const values = samples.map(({ value }) => value);
      const cells = [values[0]!, Math.max(...values), values.at(-1)!].map((value) => value.toFixed(1).padStart(6));
      const { perHour, error } = slopeOf(samples.filter(({ hours }) => hours >= (judgesMemory ? WARM_UP_HOURS : 0)));
      const grows = judgesMemory && perHour - 3 * error > MOST_GROWTH_MIB_PER_HOUR;
      if (grows) holds = false;
      const slope = `${perHour.toFixed(1)} ± ${error.toFixed(1)}${grows ? " grows" : judgesMemory ? "" : " not judged"}`;
      print(
        `${name.padEnd(14)}    ${cells.join(" ")}        ${slope.padEnd(22)} ${fdsAtBegin} → ${openFds(process())}`,
      );
    }
    return holds;
  }
}

interface Stage {
  rig: Rig;
  /** Between the edge "far" and the hub. */
  link: CutProxy;
  steady: RunningEdge;
  killed: RunningEdge;
  victim: ChildProcess;
}

function isBalanced({ unexplained, twice, disordered }: Report): boolean {
  return unexplained === 0 && twice === 0 && disordered === 0;
}

async function pause(process: ChildProcess, forMs: number): Promise<void> {
  process.kill("SIGSTOP");
  await sleep(forMs);
  process.kill("SIGCONT");
}

/** 0 where the machine does not tell. */
function residentBytes({ pid }: ChildProcess): number {
  try {
    const [, kilobytes] = /^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** 0 where the machine does not tell. */
function openFds({ pid }: ChildProcess): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
