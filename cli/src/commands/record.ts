import { readBus } from "../bus-spec.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { fileNameAt, LogWriter } from "../log-writer.ts";
import { openBuses, shutDownAll } from "../open-bus.ts";
import { exitCodeOfEnd, receiveFrames, type ReceiveEnd } from "../receive.ts";
import { Recording } from "../recording.ts";
import type { RECORD } from "../table/frames.ts";

/** `canfleet record` */
export async function runRecord({ options, positionals }: Arguments<typeof RECORD>, context: Context): Promise<number> {
  const { terminal, interruption } = context;
  const specs = positionals.map(readBus);
  const path = fileNameAt(options.file, new Date());
  const failed = new AbortController();
  const buses = await openBuses(specs, { flags: options, connected: false, order: "complete" }, context);
  const file = path === "-" ? undefined : await LogWriter.create(path, () => failed.abort());
  const recording = new Recording(file ?? { write: (text) => terminal.write(text), isBehind: false });
  if (file) terminal.say(`recording ${specs.map(({ text }) => text).join(", ")} to ${path}; Ctrl-C ends`);
  let end: ReceiveEnd;
  try {
    end = await receiveFrames(
      buses,
      {
        count: options.count,
        timeoutMs: options.timeout,
        onFrames: (batch, end, channel) => recording.addFrames(batch, end, channel),
        onLoss: (loss) => recording.addLoss(loss),
        untilShutdown: true,
      },
      AbortSignal.any([interruption.signal, failed.signal]),
    );
  } finally {
    await shutDownAll(buses);
    recording.tellUntold();
    await file?.close();
  }
  const lost = recording.lossSummary();
  terminal.say(`${recording.frames} frames${file ? ` in ${path}` : ""}${lost === undefined ? "" : `; ${lost}`}`);
  return exitCodeOfEnd(end, options.count, context);
}
