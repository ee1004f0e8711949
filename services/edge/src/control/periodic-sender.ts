import { FLAG_ECHO, FLAG_OWN, formatFrame, type ControlCode, type FrameBatch, type KeptTask } from "@canfleet/sdk";
import type { CanInterface } from "../can-interface.ts";
import type { SendGate } from "../send-gate.ts";
import type { Transmitter } from "../transmit.ts";

/** Periodic sends of a bus at most: the slots that a driver has. */
const MAX_TASKS = 64;
const MAX_TTL_MS = 60_000;

/** What a periodic sender needs of its bus. */
export interface PeriodicBus {
  can: CanInterface;
  transmitter: Transmitter;
  /** What MQTT clients may send. */
  gate: Pick<SendGate, "outlook" | "capHz" | "spend">;
}

interface Task {
  name: string;
  by: string;
  frame: FrameBatch;
  periodMs: number;
  slot: number;
  keptBy: "kernel" | "edge";
  /** In the edge: when the next frame is due, on the monotonic clock. */
  dueMs: number;
  timer: NodeJS.Timeout | undefined;
  sent: number;
}

/**
 * Keeps the beat of periodic sends, in the kernel where the driver can have it, else by timers. While the bus is down
 * they pause, and what was due then is never made up for.
 */
export class PeriodicSender {
  readonly #bus: PeriodicBus;
  readonly #tasks = new Map<string, Task>();
  #isPaused = false;

  constructor(bus: PeriodicBus) {
    this.#bus = bus;
  }

  get count(): number {
    return this.#tasks.size;
  }

  /** Begins a task, or changes one that runs. @returns why not; undefined when it runs */
  start(name: string, by: string, frame: FrameBatch, periodMs: number): ControlCode | undefined {
    if (!this.#maySend(frame)) return "denied";
    const before = this.#tasks.get(name);
    if (!before && this.#tasks.size >= MAX_TASKS) return "too-many";
    if (!this.#bus.can.capabilities.canSend || (frame.isFd(0) && !this.#bus.can.capabilities.fd)) return "unsupported";
    const slot = before?.slot ?? this.#freeSlot();
    const sent = before?.sent ?? 0;
    const task: Task = { name, by, frame, periodMs, slot, keptBy: "edge", dueMs: 0, timer: undefined, sent };
    if (before && keepsBeat(before, task) && this.#change(before, task)) return undefined;
    if (before) this.#halt(before);
    this.#tasks.set(name, task);
    if (!this.#isPaused) this.#run(task);
    return undefined;
  }

  /** Gives a task that runs another frame without touching its beat. */
  #change(before: Task, { by, frame }: Task): boolean {
    if (before.keptBy === "kernel" && this.#bus.gate.outlook("mqtt", frame, 0) !== "free") return false;
    if (before.keptBy === "kernel" && !this.#isPaused) {
      if (this.#bus.can.startPeriodic?.(before.slot, frame, 0) !== undefined) return false;
    }
    before.by = by;
    before.frame = frame;
    return true;
  }

  #freeSlot(): number {
    const taken = new Set([...this.#tasks.values()].map(({ slot }) => slot));
    let slot = 0;
    while (taken.has(slot)) slot++;
    return slot;
  }

  #maySend(frame: FrameBatch): boolean {
    return this.#bus.gate.outlook("mqtt", frame, 0) !== "denied";
  }

  /** What the kernel sends passes no rule and no cap: it may keep only what none of them would hold back. */
  #mayBeKernels({ frame, periodMs }: Task): boolean {
    const { gate } = this.#bus;
    if (gate.outlook("mqtt", frame, 0) !== "free") return false;
    let hz = 1000 / periodMs;
    for (const task of this.#tasks.values()) if (task.keptBy === "kernel") hz += 1000 / task.periodMs;
    return hz <= (gate.capHz ?? Infinity);
  }

  #run(task: Task): void {
    task.keptBy = "edge";
    const { can } = this.#bus;
    if (can.startPeriodic !== undefined && this.#mayBeKernels(task)) {
      const refusal = can.startPeriodic(task.slot, task.frame, Math.round(task.periodMs * 1000));
      if (refusal === undefined) {
        task.keptBy = "kernel";
        return;
      }
    }
    task.dueMs = performance.now();
    this.#beat(task);
  }

  #beat(task: Task): void {
    if (!this.#maySend(task.frame)) {
      this.stop(task.name);
      return;
    }
    const { frame, periodMs } = task;
    this.#bus.transmitter.submit({
      frames: frame.clone(),
      source: "mqtt",
      ttlMs: Math.min(periodMs, MAX_TTL_MS),
      settled: (_row, code) => {
        if (code === "sent") task.sent++;
      },
    });
    const nowMs = performance.now();
    // Beats that are over already are left out: they would be a burst.
    task.dueMs += periodMs * Math.max(1, Math.ceil((nowMs - task.dueMs) / periodMs));
    task.timer = setTimeout(() => this.#beat(task), task.dueMs - nowMs);
  }

  #halt(task: Task): void {
    clearTimeout(task.timer);
    task.timer = undefined;
    if (task.keptBy === "kernel") this.#bus.can.stopPeriodic?.(task.slot);
  }

  /** @returns whether there was such a task */
  stop(name: string): boolean {
    const task = this.#tasks.get(name);
    if (task) this.#halt(task);
    return this.#tasks.delete(name);
  }

  /** The bus carries frames, or does not: tasks go on or pause. */
  setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    for (const task of this.#tasks.values()) {
      if (isPaused) this.#halt(task);
      else this.#run(task);
    }
  }

  /** Ends what the send rules do not allow any more. */
  recheck(): void {
    for (const { name, frame } of this.#tasks.values()) if (!this.#maySend(frame)) this.stop(name);
  }

  /** Counts the kernel's sends by what comes back from the bus. */
  observe(batch: FrameBatch): void {
    if (this.#tasks.size === 0) return;
    for (let i = 0; i < batch.count; i++) {
      // Those of the broadcast manager come from this host, but not through the driver's own socket: no echo.
      if ((batch.flags[i]! & (FLAG_OWN | FLAG_ECHO)) === FLAG_OWN) this.#count(batch.idWord[i]!, batch.isFd(i));
    }
  }

  #count(idWord: number, isFd: boolean): void {
    for (const task of this.#tasks.values()) {
      if (task.keptBy !== "kernel" || task.frame.idWord[0] !== idWord || task.frame.isFd(0) !== isFd) continue;
      task.sent++;
      this.#bus.gate.spend();
      return;
    }
  }

  list(): Omit<KeptTask, "leaseMs">[] {
    return [...this.#tasks.values()].map(({ name, by, frame, periodMs, keptBy, sent }) => ({
      task: name,
      by,
      frame: formatFrame(frame, 0),
      periodMs,
      keptBy,
      paused: this.#isPaused,
      sent,
    }));
  }

  close(): void {
    for (const name of [...this.#tasks.keys()]) this.stop(name);
  }
}

/** Whether only the payload differs, so that the beat can stay. */
function keepsBeat(before: Task, { frame, periodMs }: Task): boolean {
  return (
    before.periodMs === periodMs && before.frame.idWord[0] === frame.idWord[0] && before.frame.isFd(0) === frame.isFd(0)
  );
}
