/**
 * Reads a bus and counts. Arguments: the channel, and with what: `native` and the longest wait for more frames in ms, or
 * `socketcan`, npm's library as its documentation uses it. Command on stdin: `count`.
 */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { openCanInterface } from "@canfleet/edge";

/** As much of npm's socketcan 4 as counting takes. */
interface SocketcanLibrary {
  createRawChannel(channel: string, timestamps: boolean): { addListener: AddListener; start(): void };
}
type AddListener = (event: "onMessage", onMessage: (message: { id: number; data: Uint8Array }) => void) => void;

const [channel = "", reader, gatherMs] = process.argv.slice(2);
let frames = 0;

if (reader === "socketcan") {
  const library = createRequire(import.meta.url)("socketcan") as SocketcanLibrary;
  const bus = library.createRawChannel(channel, true);
  bus.addListener("onMessage", () => frames++);
  bus.start();
} else {
  const nothing = (): void => undefined;
  const can = openCanInterface({ channel, driver: "native", gatherMs: Number(gatherMs) });
  const onFrames = ({ count }: { count: number }): void => void (frames += count);
  await can.open({ frames: onFrames, lost: nothing, link: nothing, warning: nothing, end: nothing });
}
createInterface({ input: process.stdin }).on("line", () => process.stdout.write(`${JSON.stringify({ frames })}\n`));
process.once("SIGTERM", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
