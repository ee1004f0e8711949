import { Child } from "./child.ts";
import { canShim, nativeProgram } from "./native.ts";
import { openSync, readSync, closeSync } from "node:fs";

/** What a feeder wrote. */
export interface Fed {
  sent: number;
  refused: number;
  seconds: number;
}

export interface FeedOptions {
  /** Frames per second on each bus; 0: as fast as it goes. */
  rate: number;
  ms: number;
  /** Buses, 0 and up. Default [0]. */
  buses?: number[];
  fd?: boolean;
  extended?: boolean;
}

/**
 * Where the CAN buses of a run come from: "vcan" is SocketCAN itself, inside the guest; "shim" is a UDP socket in its
 * place, natively, where a CPU second is one.
 */
export class Rig {
  readonly kind: "vcan" | "shim";
  static #ports = 28_000;
  readonly #basePort: number;

  constructor(kind: "vcan" | "shim") {
    this.kind = kind;
    // A rig of its own for each path: what the one before left in a queue is not this one's.
    Rig.#ports = Rig.#ports >= 32_000 ? 28_000 : Rig.#ports + 200;
    this.#basePort = Rig.#ports;
  }

  channel(bus = 0): string {
    return `vcan${bus}`;
  }

  /** Environment for a program that opens CAN sockets. */
  environment(program: string): Record<string, string> {
    if (this.kind === "vcan") return {};
    return { LD_PRELOAD: canShim(elfBits(program)), CANFLEET_SHIM_PORT: `${this.#basePort}` };
  }

  /** Writes frames to the buses and says how many. */
  async feed({ rate, ms, buses = [0], fd = false, extended = false }: FeedOptions): Promise<Fed> {
    const targets = buses.map((bus) => (this.kind === "vcan" ? `can:vcan${bus}` : `udp:${this.#basePort + bus}`));
    const flags = [...(extended ? ["ext"] : []), ...(fd ? ["fd"] : [])];
    const feeder = new Child("feeder", [nativeProgram("feeder"), targets.join(","), `${rate}`, `${ms}`, ...flags]);
    return feeder.line<Fed>();
  }
}

/** Whether a program file is for 32 or 64 bits (ELF header, byte 4); scripts count as 64. */
export function elfBits(file: string): 32 | 64 {
  const head = Buffer.alloc(5);
  const fd = openSync(file, "r");
  readSync(fd, head, 0, 5, 0);
  closeSync(fd);
  return head.toString("latin1", 0, 4) === "\x7fELF" && head[4] === 1 ? 32 : 64;
}
