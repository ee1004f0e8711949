import { RangeSet } from "@canfleet/sdk";

/** How far the numbers of one epoch have come. */
export class EpochProgress {
  /** Acknowledged, or given up: never to be sent again unasked. */
  readonly settled = new RangeSet();
  /** Settled, or sent as backfill and not yet answered. */
  out = new RangeSet();

  settle(from: number, to: number): void {
    this.settled.add(from, to);
    this.out.add(from, to);
  }

  /** Takes back what was sent and not answered. */
  expire(): void {
    this.out = new RangeSet(this.settled);
  }
}
