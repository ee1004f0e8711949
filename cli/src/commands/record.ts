import { formatLogLine } from "@canfleet/sdk";
import { oneWord, readBus } from "../bus-spec.ts";
import { clientHub } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { DropLines } from "../drop-lines.ts";
import { fileNameAt, LogWriter } from "../log-writer.ts";
import { openBuses, shutDownAll } from "../open-bus.ts";
import { exitCodeOfEnd, receiveFrames, type ReceiveEnd } from "../receive.ts";
import type { RECORD } from "../table/frames.ts";

/** `canfleet record` */
export async function runRecord({ options, positionals }: Arguments<typeof RECORD>, context: Context): Promise<number> {
  const { terminal, interruption } = context;
  const specs = positionals.map(readBus);
  const path = fileNameAt(options.file, new Date());
  const failed = new AbortController();
  const buses = await openBuses(specs, { hub: () => clientHub(options, context), connected: false }, context);
  const file = path === "-" ? undefined : await LogWriter.create(path, () => failed.abort());
  const write = (text: string): void => (file ? file.write(text) : terminal.write(text));
  const drops = new DropLines();
  let frames = 0;
  if (file) terminal.say(`recording ${specs.map(({ text }) => text).join(", ")} to ${path}; Ctrl-C ends`);
  let end: ReceiveEnd;
  try {
    end = await receiveFrames(
      buses,
      {
        count: options.count,
        timeoutMs: options.timeout,
        onFrames: (batch, count, channel) => {
          const name = oneWord(channel);
          let lines = "";
          for (let i = 0; i < count; i++) lines += `${formatLogLine(batch, i, name)}\n`;
          write(lines);
          frames += count;
        },
        onLoss: (loss) => {
          const line = drops.line(loss, oneWord(loss.channel));
          if (line !== undefined) write(`${line}\n`);
        },
      },
      AbortSignal.any([interruption.signal, failed.signal]),
    );
  } finally {
    await shutDownAll(buses);
    await file?.close();
  }
  const lost = drops.summary();
  terminal.say(`${frames} frames${file ? ` in ${path}` : ""}${lost === undefined ? "" : `; ${lost}`}`);
  return exitCodeOfEnd(end, options.count, context);
}
