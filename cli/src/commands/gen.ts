import { setImmediate as nextTurn } from "node:timers/promises";
import { readBus } from "../bus-spec.ts";
import { clientHub } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { EXIT_DONE, exitCodeOfStop } from "../exit-codes.ts";
import { FrameGenerator } from "../frame-generator.ts";
import { openBuses, shutDownAll } from "../open-bus.ts";
import { assertOneBus, assertTakesFrames } from "../sendable.ts";
import { FrameSender } from "../frame-sender.ts";
import { sleep } from "../sleep.ts";
import type { GEN } from "../table/frames.ts";
import { frameText } from "./send.ts";

/** `canfleet gen` */
export async function runGen({ options, positionals }: Arguments<typeof GEN>, context: Context): Promise<number> {
  const { terminal, interruption } = context;
  const spec = readBus(positionals[0] ?? "");
  assertOneBus(spec);
  const generator = new FrameGenerator({ ...options, seed: options.seed ?? Math.floor(Math.random() * 2 ** 32) });
  if (spec.place.kind === "hub") await assertTakesFrames(spec, await clientHub(options, context));
  const opened = await openBuses([spec], { flags: options, connected: true }, context);
  const sender = new FrameSender(opened[0]!.bus, spec);
  try {
    const count = options.count ?? Infinity;
    for (let i = 0; i < count; i++) {
      if (i > 0 && options.gap > 0) await sleep(options.gap, interruption.signal);
      else if (i % 16 === 0) await nextTurn();
      if (interruption.signal.aborted) return exitCodeOfStop(interruption.reason);
      if (!options.ignore) sender.throwIfRefused();
      const frame = generator.next();
      sender.send(frame);
      if (options.verbose) terminal.write(`${spec.text}  ${frameText(frame)}\n`);
    }
    await sender.drain();
    if (!options.ignore) sender.throwIfRefused();
  } finally {
    await shutDownAll(opened);
    if (sender.refused > 0 && options.ignore) terminal.say(`${sender.refused} frames were refused`);
  }
  return EXIT_DONE;
}
