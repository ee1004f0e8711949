import type { Peers } from "./peers.ts";
import type { Measures, Sample } from "./results.ts";
import { elfBits, Rig } from "./rig.ts";

/** What a scenario needs to know of the run. */
export interface RunOptions {
  rig: "shim" | "vcan";
  repeats: number;
  /** Length of one paced feed, ms. */
  feedMs: number;
  peers: Peers;
  /** Told what is being done, a line each. */
  log: (text: string) => void;
}

/** A contender of a scenario: measured once in each repeat, in turn with the others. */
export interface Contender {
  name: string;
  /** One table's figures, or several tables', by title. */
  measure(): Promise<{ [table: string]: Measures }>;
}

/** Collects samples; contenders take turns, and each repeat begins with another one. */
export class BenchRun {
  readonly options: RunOptions;
  readonly samples: Sample[] = [];
  readonly failures: string[] = [];

  constructor(options: RunOptions) {
    this.options = options;
  }

  /** socketsocketcan's client for this rig: its Python bus needs the 32-bit one, the guest's kernel the other. */
  get seedClient(): string | undefined {
    const bits = this.options.rig === "vcan" ? 64 : 32;
    const { seedClients } = this.options.peers;
    const fitting = seedClients.find((program) => elfBits(program) === bits);
    return fitting ?? (this.options.rig === "shim" ? seedClients[0] : undefined);
  }

  newRig(): Rig {
    return new Rig(this.options.rig);
  }

  /** The first contender is the baseline. One that fails is left out of that repeat, and said so. */
  async compete(contenders: readonly Contender[], repeats = this.options.repeats): Promise<void> {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const samples = new Map<string, Sample[]>();
      for (let turn = 0; turn < contenders.length; turn++) {
        const contender = contenders[(repeat + turn) % contenders.length]!;
        samples.set(contender.name, await this.#measure(contender, repeat));
      }
      // In the contenders' own order, so that the baseline stays first.
      for (const { name } of contenders) this.samples.push(...(samples.get(name) ?? []));
    }
  }

  async #measure(contender: Contender, repeat: number): Promise<Sample[]> {
    this.options.log(`${contender.name} (${repeat + 1})`);
    try {
      const tables = await contender.measure();
      return Object.entries(tables).map(([table, measures]) => ({
        table,
        contender: contender.name,
        repeat,
        measures,
      }));
    } catch (error) {
      const text = `${contender.name}: ${error instanceof Error ? error.message : String(error)}`;
      this.failures.push(text);
      this.options.log(`failed: ${text}`);
      return [];
    }
  }
}
