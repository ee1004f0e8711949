import { ConsoleFormatter, describeErrorFrame, formatLogLine, type FrameBatch } from "@canfleet/sdk";
import { oneWord, readBus } from "../bus-spec.ts";
import { BusColours } from "../colours.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { DropLines } from "../drop-lines.ts";
import { frameJson, lossJson } from "../json-line.ts";
import { openBuses, shutDownAll } from "../open-bus.ts";
import { exitCodeOfEnd, receiveFrames, type ReceiveEnd } from "../receive.ts";
import type { DUMP } from "../table/frames.ts";

type DumpOptions = Arguments<typeof DUMP>["options"];

/** Frame `i` as text of one or more lines, without the last line's end. */
type FrameText = (batch: FrameBatch, i: number, channel: string) => string;

/** `canfleet dump` */
export async function runDump({ options, positionals }: Arguments<typeof DUMP>, context: Context): Promise<number> {
  const { terminal, interruption } = context;
  const specs = positionals.map(readBus);
  const buses = await openBuses(specs, { flags: options, connected: false }, context);
  const drops = new DropLines();
  const text = frameText(options, context);
  let end: ReceiveEnd;
  try {
    end = await receiveFrames(
      buses,
      {
        count: options.count,
        timeoutMs: options.timeout,
        onFrames: (batch, count, channel) => terminal.write(batchText(text, batch, count, channel)),
        onLoss: (loss) => {
          const line = drops.line(loss, oneWord(loss.channel));
          if (!options.drops) return;
          if (options.json) terminal.write(`${lossJson(loss)}\n`);
          else if (line !== undefined) terminal.write(`${line}\n`);
        },
      },
      interruption.signal,
    );
  } finally {
    await shutDownAll(buses);
  }
  const lost = drops.summary();
  if (lost !== undefined && !options.drops) terminal.say(`${lost} (-d shows where)`);
  return exitCodeOfEnd(end, options.count, context);
}

function batchText(text: FrameText, batch: FrameBatch, count: number, channel: string): string {
  let lines = "";
  for (let i = 0; i < count; i++) lines += `${text(batch, i, channel)}\n`;
  return lines;
}

function frameText(options: DumpOptions, context: Context): FrameText {
  if (options.json) return frameJson;
  if (options.log) {
    return (batch, i, channel) => formatLogLine(batch, i, oneWord(channel), { direction: options.extra });
  }
  const formatter = new ConsoleFormatter({ time: options.time, extraInfo: options.extra, ascii: options.ascii });
  const plain: FrameText = options.errors
    ? (batch, i, channel) => [formatter.format(batch, i, channel), ...errorLines(batch, i)].join("\n\t")
    : (batch, i, channel) => formatter.format(batch, i, channel);
  if (!wantsColour(options, context)) return plain;
  const colours = new BusColours();
  return (batch, i, channel) => colours.paint(plain(batch, i, channel), channel);
}

function errorLines(batch: FrameBatch, i: number): string[] {
  const text = describeErrorFrame(batch, i);
  return text === "" ? [] : text.split("; ");
}

function wantsColour({ coloured, color }: DumpOptions, { terminal }: Context): boolean {
  if (color === "always") return true;
  return coloured && color === "auto" && terminal.colour;
}
