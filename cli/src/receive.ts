import type { FrameBatch, LossEvent } from "@canfleet/sdk";
import type { Context } from "./context.ts";
import { EXIT_DONE, EXIT_TIMED_OUT, exitCodeOfStop } from "./exit-codes.ts";
import type { OpenedBus } from "./open-bus.ts";

export interface ReceiveOptions {
  /** End after this many frames. Default: never. */
  count?: number | undefined;
  /** End after this long without a frame, ms. Default: never. */
  timeoutMs?: number | undefined;
  /** Frames `0` up to (not including) `end` of the batch are wanted. The batch may be kept. */
  onFrames(batch: FrameBatch, end: number, channel: string): void;
  onLoss(loss: LossEvent): void;
  /** Goes on handing on, up to `count`, until the buses are shut down: what one still holds comes then. Default false. */
  untilShutdown?: boolean;
}

/** Why receiving ended: enough frames, too long without one, all buses at their end, or somebody said so. */
export type ReceiveEnd = "count" | "timeout" | "ended" | "interrupted";

/** Hands on the frames of all buses until there is a reason to end. */
export function receiveFrames(
  buses: readonly OpenedBus[],
  options: ReceiveOptions,
  signal: AbortSignal,
): Promise<ReceiveEnd> {
  return new Promise((resolve) => {
    let left = options.count ?? Infinity;
    const finish = (end: ReceiveEnd): void => {
      if (!options.untilShutdown) left = 0;
      clearTimeout(timer);
      resolve(end);
    };
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => finish("timeout"), options.timeoutMs);
    for (const { bus } of buses) {
      bus.on("batch", (batch, { channel }) => {
        if (left === 0) return;
        const end = Math.min(left, batch.count);
        options.onFrames(batch, end, channel);
        timer?.refresh();
        left -= end;
        if (left === 0) finish("count");
      });
      bus.on("loss", (loss) => {
        if (left > 0) options.onLoss(loss);
      });
    }
    void Promise.all(buses.map(({ ended }) => ended)).then(() => finish("ended"));
    if (signal.aborted) finish("interrupted");
    else signal.addEventListener("abort", () => finish("interrupted"), { once: true });
  });
}

/** The exit code of a command that receives. */
export function exitCodeOfEnd(end: ReceiveEnd, count: number | undefined, { interruption }: Context): number {
  if (end === "interrupted") return exitCodeOfStop(interruption.reason);
  return end === "timeout" && count !== undefined ? EXIT_TIMED_OUT : EXIT_DONE;
}
