import type { FrameBatch } from "@canfleet/sdk";
import type { World } from "./database.ts";
import { MessageEncoder } from "./encoder.ts";

/** What drives a simulated bus. */
export interface Traffic {
  /**
   * Adds the frames whose last bit was on the bus by `nowUs`, in bus order, as many as fit.
   *
   * @returns true when the batch is full and more is due
   */
  run(nowUs: number, batch: FrameBatch): boolean;
}

/** A message that is late by more than this was not sent at all: after a pause the bus goes on, it does not catch up. */
const MAX_LAG_US = 250_000;

/** Bits of a frame besides its data, interframe space included (ISO 11898-1), and what stuffing adds on average. */
const BASE_FORMAT_BITS = 47;
const EXTENDED_FORMAT_BITS = 67;
const STUFFING = 1.1;

/** `EFF_FLAG` as an addend. */
const EXTENDED = 0x80000000;

interface Sender<State> {
  encoder: MessageEncoder<State>;
  idWord: number;
  periodUs: number;
  frameUs: number;
  /** When the message is to be sent next, µs since 1970. */
  dueUs: number;
}

/**
 * Sends the messages of a world, each in its period, counted from the start time: a timer that comes late costs
 * no frame and shifts none. One frame is on the bus at a time; of those that wait the lowest id goes first.
 *
 * @param startUs when the story began, µs since 1970; may be long ago
 */
export function makeTraffic<State>(world: World<State>, startUs: number, seed: number): Traffic {
  const stateAt = world.tell(startUs, seed);
  const senders = world.messages.map((spec, index): Sender<State> => {
    const periodUs = spec.periodMs * 1000;
    const bits = (spec.isExtendedId ? EXTENDED_FORMAT_BITS : BASE_FORMAT_BITS) + 8 * spec.length;
    return {
      encoder: new MessageEncoder(spec),
      idWord: spec.arbitrationId + (spec.isExtendedId ? EXTENDED : 0),
      periodUs,
      frameUs: Math.round((bits * STUFFING * 1e6) / world.bitrate),
      // Control units do not start in step: spread over the period, by no common factor.
      dueUs: startUs + ((index * 7919 + (seed % 997) * 31) % periodUs),
    };
  });
  let busFreeUs = startUs;

  return {
    run(nowUs, batch) {
      for (const sender of senders) realign(sender, nowUs);
      if (busFreeUs > nowUs + MAX_LAG_US) busFreeUs = nowUs;
      for (;;) {
        const next = firstOf(senders, busFreeUs);
        const startsUs = Math.max(next.dueUs, busFreeUs);
        if (startsUs + next.frameUs > nowUs) return false;
        if (!batch.fits(next.encoder.payload.length)) return true;
        next.encoder.encode(stateAt((next.dueUs - startUs) / 1e6));
        busFreeUs = startsUs + next.frameUs;
        addFrame(batch, next, busFreeUs);
        next.dueUs += next.periodUs;
      }
    },
  };
}

/** Keeps the phase, leaves out what is long past, and comes back when the clock was set back. */
function realign<State>(sender: Sender<State>, nowUs: number): void {
  const { periodUs } = sender;
  const lagUs = nowUs - sender.dueUs;
  if (lagUs > MAX_LAG_US) sender.dueUs += Math.ceil(lagUs / periodUs) * periodUs;
  else if (lagUs < -2 * periodUs) sender.dueUs -= Math.floor(-lagUs / periodUs) * periodUs;
}

/** The sender that gets the bus next; they are in the order of their ids, so the first of equals wins. */
function firstOf<State>(senders: readonly Sender<State>[], busFreeUs: number): Sender<State> {
  let first = senders[0]!;
  for (const sender of senders) {
    if (Math.max(sender.dueUs, busFreeUs) < Math.max(first.dueUs, busFreeUs)) first = sender;
  }
  return first;
}

function addFrame<State>(batch: FrameBatch, sender: Sender<State>, timestampUs: number): void {
  const i = batch.count;
  const { payload } = sender.encoder;
  const at = batch.dataOffset[i]!;
  batch.timestampUs[i] = timestampUs;
  batch.timestampNs[i] = 0;
  batch.idWord[i] = sender.idWord;
  batch.length[i] = payload.length;
  batch.dlc[i] = payload.length;
  batch.flags[i] = 0;
  batch.data.set(payload, at);
  batch.dataOffset[i + 1] = at + payload.length;
  batch.count = i + 1;
}
