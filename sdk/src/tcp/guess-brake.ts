import { isIPv6 } from "node:net";

const FREE_GUESSES = 5;
const WINDOW_MS = 60_000;
const MAX_PAUSE_MS = 60_000;
const FIRST_PAUSE_MS = 1000;
const MAX_ADDRESSES = 1024;

interface Guesses {
  count: number;
  lastMs: number;
  heldUntilMs: number;
}

/** Slows down who guesses: after five wrong ones within a minute each doubles a pause, per address. */
export class GuessBrake {
  readonly #guesses = new Map<string, Guesses>();

  /** Whether what comes from there is not looked at now. `nowMs` is on a clock that never goes back. */
  isHeld(address: string, nowMs = performance.now()): boolean {
    return (this.#guesses.get(networkOf(address))?.heldUntilMs ?? 0) > nowMs;
  }

  /** A wrong guess. */
  failed(address: string, nowMs = performance.now()): void {
    const network = networkOf(address);
    const before = this.#guesses.get(network);
    this.#guesses.delete(network);
    const isOver = before === undefined || nowMs - Math.max(before.lastMs, before.heldUntilMs) > WINDOW_MS;
    const count = isOver ? 1 : before.count + 1;
    const pauseMs = count <= FREE_GUESSES ? 0 : FIRST_PAUSE_MS * 2 ** (count - FREE_GUESSES - 1);
    this.#guesses.set(network, { count, lastMs: nowMs, heldUntilMs: nowMs + Math.min(pauseMs, MAX_PAUSE_MS) });
    // The map keeps the order of the last guesses: the one that is longest ago goes.
    if (this.#guesses.size > MAX_ADDRESSES) this.#guesses.delete(this.#guesses.keys().next().value!);
  }

  /** A right one. */
  succeeded(address: string): void {
    this.#guesses.delete(networkOf(address));
  }
}

/** Of IPv6 whoever has one address has its /64. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array<string>(gap).fill("0"), ...back];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
