import { formatLogLine, formatLostLines, type FrameBatch, type LossEvent } from "@canfleet/sdk";
import { oneWord } from "./bus-spec.ts";
import { DropLines } from "./drop-lines.ts";

/** Where the lines of a recording go. */
export interface RecordingOutput {
  write(text: string): void;
  /** Whether so much waits to be written that more would only fill the memory. */
  readonly isBehind: boolean;
}

/** Writes frames and losses as the lines of a log, in the order in which they come. */
export class Recording {
  /** Frames in the log. */
  frames = 0;
  readonly #output: RecordingOutput;
  readonly #drops = new DropLines();
  /** Frames that found the output behind and are not in the log yet as lost. */
  readonly #untold = new Map<string, number>();

  constructor(output: RecordingOutput) {
    this.#output = output;
  }

  /** Writes frames `0` up to (not including) `end`; where the output is behind they are counted as lost at `app`. */
  addFrames(batch: FrameBatch, end: number, channel: string): void {
    if (this.#output.isBehind) {
      this.#untold.set(channel, (this.#untold.get(channel) ?? 0) + end);
      return;
    }
    this.tellUntold();
    const name = oneWord(channel);
    let lines = "";
    for (let i = 0; i < end; i++) lines += `${formatLogLine(batch, i, name)}\n`;
    this.#output.write(lines);
    this.frames += end;
  }

  addLoss(loss: LossEvent): void {
    this.tellUntold();
    this.#writeLoss(loss);
  }

  /** Writes what was lost at the output itself and is not written yet; to be called at the end. */
  tellUntold(): void {
    for (const [channel, frames] of this.#untold) this.#writeLoss({ channel, lost: { app: frames } });
    this.#untold.clear();
  }

  #writeLoss(loss: LossEvent): void {
    const name = oneWord(loss.channel);
    this.#drops.count(loss, name);
    const lines = formatLostLines(loss, name);
    if (lines !== "") this.#output.write(lines);
  }

  /** What was lost so far, for people; undefined when nothing was, as far as known. */
  lossSummary(): string | undefined {
    return this.#drops.summary();
  }
}
