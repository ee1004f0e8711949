import type { Range, RangeSet } from "@canfleet/sdk";
import type { StoredBatch } from "./history.ts";

/** Batches outside memory, of this epoch and earlier ones: the spool, as the ledger sees it. */
export interface BatchStore {
  /** What earlier lives left is not known yet. */
  readonly isStarting: boolean;
  /** Epochs of which batches are there, the oldest first. */
  epochs(): readonly number[];
  /** Numbers of this epoch that can be read and that the hub does not have, as far as is known, in order. */
  within(epoch: number, from: number, to: number): Range[];
  /** The first number from `from` on, below `to`, that can be read, whether the hub has it or not. */
  firstKept(epoch: number, from: number, to: number): number | undefined;
  /** Takes a batch over. @returns false when it cannot, for now or by policy */
  append(batch: StoredBatch): boolean;
  /**
   * The batch that has this number.
   *
   * @returns "later" when it has to be fetched: `onReady` tells when to ask again; undefined when it is not there, which
   *   `within` knows from then on
   */
  read(epoch: number, seq: number): StoredBatch | "later" | undefined;
  /** What the hub has taken, or was given up. */
  settled(epoch: number, numbers: RangeSet): void;
}
