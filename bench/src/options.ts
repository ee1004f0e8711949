import { parseArgs } from "node:util";
import { messageOf } from "@canfleet/sdk";
import { findPeers, type Peers } from "./peers.ts";
import { SCENARIOS, type ScenarioName } from "./scenarios/index.ts";

export interface Options {
  scenarios: ScenarioName[];
  rig: "shim" | "vcan" | "both";
  repeats: number;
  feedMs: number;
  peers: Peers;
  json: string | undefined;
  /** Where plots of the figures go. */
  svg: string | undefined;
  /** Results of earlier runs, to be shown instead of measuring. */
  from: string[];
  /** Puts the figures into docs/performance.md, and plots of them beside it. */
  write: boolean;
}

export const USAGE = `usage: npm run bench -- [SCENARIO...] [options]

Scenarios: ${Object.keys(SCENARIOS).join(", ")}. Default: all.

  --rig shim|vcan|both   CAN over UDP sockets natively, or SocketCAN: this kernel's, else a guest's. Default both.
  --repeats N            how often each contender has its turn. Default 5.
  --seconds S            length of one paced feed. Default 3.
  --json FILE            write the figures as JSON
  --svg FILE             draw plots of the native figures, as SVG
  --from FILE            show what an earlier run wrote with --json instead; several are joined
  --write                put the figures into docs/performance.md and their plots into docs/performance.svg
  --seed-client FILE     socketsocketcan's C++ client; twice for one of 32 bits and one of 64
  --seed-python FOLDER   the folder with socketsocketcan's Python package
  --python FILE          a Python that has python-can
  --mosquitto FILE
  --cannelloni FILE
  --socketcand FILE
`;

/** What the command line asks for, or what is wrong with it. */
export function readOptions(args: string[]): Options | string {
  try {
    const text = { type: "string" } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        rig: text,
        repeats: text,
        seconds: text,
        json: text,
        svg: text,
        "seed-client": { type: "string", multiple: true },
        "seed-python": text,
        python: text,
        mosquitto: text,
        cannelloni: text,
        socketcand: text,
        from: { type: "string", multiple: true },
        write: { type: "boolean" },
      },
    });
    const rig = values.rig ?? "both";
    if (rig !== "shim" && rig !== "vcan" && rig !== "both") return `--rig ${rig}: expected shim, vcan or both`;
    return {
      scenarios: scenariosOf(positionals),
      rig,
      repeats: positive("repeats", values.repeats ?? "5"),
      feedMs: positive("seconds", values.seconds ?? "3") * 1000,
      peers: findPeers(values),
      json: values.json,
      svg: values.svg,
      from: values.from ?? [],
      write: values.write ?? false,
    };
  } catch (error) {
    return messageOf(error);
  }
}

function scenariosOf(names: string[]): ScenarioName[] {
  const known = Object.keys(SCENARIOS) as ScenarioName[];
  if (names.length === 0) return known;
  return names.map((name) => {
    const found = known.find((scenario) => scenario === name);
    if (!found) throw new RangeError(`no scenario "${name}"; there are ${known.join(", ")}`);
    return found;
  });
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new RangeError(`--${name} ${value}: expected a number above 0`);
  return number;
}
