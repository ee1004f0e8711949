import type { BusSpec } from "@canfleet/edge";
import { FrameBatch, formatFrame, Message, parseFrame, type Bus, type SendResult } from "@canfleet/sdk";
import { readBus } from "../bus-spec.ts";
import { clientHub } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { EXIT_DONE, exitCodeOfStop } from "../exit-codes.ts";
import { openBuses, shutDownAll } from "../open-bus.ts";
import { assertOneBus, assertTakesFrames } from "../sendable.ts";
import { sleep } from "../sleep.ts";
import type { SEND } from "../table/frames.ts";

type SendArguments = Arguments<typeof SEND>;

/** `canfleet send` */
export async function runSend(args: SendArguments, context: Context): Promise<number> {
  const [busText = "", ...frameTexts] = args.positionals;
  const spec = readBus(busText);
  assertOneBus(spec);
  const frames = frameTexts.map((text) => Message.fromBatch(FrameBatch.of(parseFrame(text)), 0));
  const { signal } = context.interruption;
  if (spec.place.kind === "hub") await assertTakesFrames(spec, await clientHub(args.options, context));
  const opened = await openBuses([spec], { flags: args.options, connected: true }, context);
  try {
    const bus = opened[0]!.bus;
    // Nobody takes the frames that come in meanwhile: without a listener they would wait in a queue.
    bus.on("batch", () => undefined);
    for (let round = 0; round < args.options.count; round++) {
      for (const [i, frame] of frames.entries()) {
        if ((round > 0 || i > 0) && args.options.gap > 0) await sleep(args.options.gap, signal);
        if (signal.aborted) return exitCodeOfStop(context.interruption.reason);
        await sendOne(bus, frame, spec, args, context);
      }
    }
  } finally {
    await shutDownAll(opened);
  }
  return EXIT_DONE;
}

async function sendOne(
  bus: Bus,
  frame: Message,
  spec: BusSpec,
  { options }: SendArguments,
  context: Context,
): Promise<void> {
  const start = performance.now();
  const result = await bus.send(frame, { ttlMs: options.ttl, confirm: options.wait || confirmsAnyway(spec) });
  if (!options.wait && !options.json) return;
  const tookMs = performance.now() - start;
  context.terminal.write(options.json ? resultJson(spec, frame, result) : resultText(spec, frame, result, tookMs));
}

/** On a bus of this machine the answer comes at once, and closing the bus before would take the frame along. */
export function confirmsAnyway({ place }: BusSpec): boolean {
  return place.kind === "local";
}

function resultText({ text }: BusSpec, frame: Message, { timestampUs }: SendResult, tookMs: number): string {
  const when = timestampUs === undefined ? "" : ` at ${(timestampUs / 1e6).toFixed(6)}`;
  return `sent  ${text}  ${frameText(frame)}  on the bus${when} (answer after ${tookMs.toFixed(1)} ms)\n`;
}

function resultJson({ text }: BusSpec, frame: Message, { timestampUs }: SendResult): string {
  return `${JSON.stringify({ bus: text, frame: frameText(frame), sent: true, t: timestampUs })}\n`;
}

/** In the notation of cansend. */
export function frameText(frame: Message): string {
  return formatFrame(FrameBatch.of(frame.toParts()), 0);
}
