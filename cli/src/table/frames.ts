import { defineCommand } from "../command-spec.ts";
import { busArgument, BUS_OPTIONS, JSON_OPTION } from "./common.ts";

const MAX_COUNT = 1e15;

export const DUMP = defineCommand({
  name: "dump",
  group: "frames",
  summary: "print frames as candump does",
  synopsis: ["BUS[,FILTER]… [BUS…] [-t a|d|z|A] [-L] [-n COUNT] [-T MS]"],
  arguments: [busArgument({ repeat: true })],
  options: {
    time: {
      kind: "choice",
      letter: "t",
      choices: ["a", "d", "z", "A"],
      help: "time: absolute, delta, from zero, absolute with date",
    },
    log: { kind: "flag", letter: "L", help: "log lines that canplayer and play read" },
    json: JSON_OPTION,
    count: { kind: "integer", letter: "n", value: "COUNT", min: 1, max: MAX_COUNT, help: "end after this many frames" },
    timeout: {
      kind: "integer",
      letter: "T",
      value: "MS",
      min: 1,
      max: 2 ** 31 - 1,
      unit: "ms",
      help: "end after this long without a frame",
    },
    ascii: { kind: "flag", letter: "a", help: "payload as ASCII too" },
    extra: { kind: "flag", letter: "x", help: "direction (RX, TX) and FD marks (B: rate switch, E: error state)" },
    errors: { kind: "flag", letter: "e", help: "error frames in words" },
    drops: { kind: "flag", letter: "d", help: "a DROPCOUNT line where frames were lost" },
    coloured: { kind: "flag", letter: "c", help: "a colour for each bus, on a terminal" },
    color: {
      kind: "choice",
      choices: ["auto", "always", "never"],
      default: "auto",
      help: "colour with -c; NO_COLOR is honoured",
    },
    ...BUS_OPTIONS,
  },
  description: [
    "Error frames always pass filters; candump's #MASK is taken and ignored.",
    "Where an interface name must be one word (-L), edge/bus is written edge-bus.",
  ],
  examples: [
    { line: "canfleet dump pi-7/can0,123:7FF -ta -n 2", does: "two frames with id 123" },
    { line: "canfleet dump +/+", does: "every bus of the hub" },
    { line: "canfleet dump pi-7/can0 -L | canplayer vcan0=pi-7-can0", does: "replay live on a local bus" },
  ],
});

export const SEND = defineCommand({
  name: "send",
  group: "frames",
  summary: "put frames on a bus, written as for cansend",
  synopsis: ["BUS FRAME… [-g MS] [-n COUNT] [--ttl MS] [--wait]"],
  arguments: [busArgument(), { name: "FRAME", help: "123#DEADBEEF, 1F334455#, 123#R4, 123##1AABB", repeat: true }],
  options: {
    gap: {
      kind: "number",
      letter: "g",
      value: "MS",
      min: 0,
      max: 3_600_000,
      unit: "ms",
      default: 0,
      help: "pause between frames",
    },
    count: {
      kind: "integer",
      letter: "n",
      value: "COUNT",
      min: 1,
      max: MAX_COUNT,
      default: 1,
      help: "go through the frames this often",
    },
    ttl: {
      kind: "integer",
      value: "MS",
      min: 1,
      max: 60_000,
      unit: "ms",
      default: 500,
      help: "not sent once it is older than this",
    },
    wait: { kind: "flag", letter: "w", help: "wait until each frame was on the bus; exit 5 with the reason if not" },
    json: JSON_OPTION,
    ...BUS_OPTIONS,
  },
  examples: [
    { line: "canfleet send pi-7/can0 123#DEADBEEF --wait", does: "send and see when it was on the bus" },
    { line: "canfleet send can0 100#00 -n 50 -g 20", does: "50 frames, one each 20 ms" },
  ],
});

export const GEN = defineCommand({
  name: "gen",
  group: "frames",
  summary: "generate frames, letters as cangen's",
  synopsis: ["BUS [-g MS] [-I ID] [-L LENGTH] [-D DATA] [-e] [-f] [-n COUNT]"],
  arguments: [busArgument()],
  options: {
    gap: {
      kind: "number",
      letter: "g",
      value: "MS",
      min: 0,
      max: 3_600_000,
      unit: "ms",
      default: 200,
      help: "pause between frames",
    },
    id: {
      kind: "text",
      letter: "I",
      value: "r|e|o|i|HEX",
      default: "r",
      help: "id: random, random even or odd, counting up, fixed",
    },
    length: {
      kind: "text",
      letter: "L",
      value: "r|i|N",
      help: "payload length in bytes: random (r), counting up, fixed; fixed -D has its own",
    },
    data: { kind: "text", letter: "D", value: "r|i|HEX", default: "r", help: "payload: random, counting up, fixed" },
    extended: { kind: "flag", letter: "e", help: "29-bit ids" },
    fd: { kind: "flag", letter: "f", help: "CAN FD" },
    brs: { kind: "flag", letter: "b", help: "CAN FD with bit rate switch" },
    esi: { kind: "flag", letter: "E", help: "CAN FD with error state indicator" },
    remote: { kind: "flag", letter: "R", help: "remote frames" },
    mix: { kind: "flag", letter: "m", help: "mix -e, -f, -b, -E and -R at random" },
    count: { kind: "integer", letter: "n", value: "COUNT", min: 1, max: MAX_COUNT, help: "end after this many frames" },
    seed: { kind: "integer", value: "N", min: 0, max: 2 ** 32 - 1, help: "the same random frames each time" },
    ignore: { kind: "flag", letter: "i", help: "go on when a frame is refused (full queue, bus-off)" },
    verbose: { kind: "flag", letter: "v", help: "print what is sent" },
    ...BUS_OPTIONS,
  },
  examples: [{ line: "canfleet gen sim:lab -g 10 -I i -v", does: "a frame each 10 ms, ids counting up" }],
});

export const PLAY = defineCommand({
  name: "play",
  group: "frames",
  summary: "send a recorded log again, with its own timing",
  synopsis: ["FILE [TO=FROM]… [-l N|i] [-t] [-g MS] [-s S] [--speed X]"],
  arguments: [
    { name: "FILE", help: "candump log (.log, .gz), or - for stdin" },
    {
      name: "TO=FROM",
      help: "lines of interface FROM go to bus TO; TO alone: all lines",
      optional: true,
      repeat: true,
    },
  ],
  options: {
    loops: { kind: "text", letter: "l", value: "N|i", default: "1", help: "go through the file N times; i: for ever" },
    "ignore-time": { kind: "flag", letter: "t", help: "as fast as the gap allows, not with the recorded times" },
    gap: {
      kind: "number",
      letter: "g",
      value: "MS",
      min: 0,
      max: 3_600_000,
      unit: "ms",
      default: 0,
      help: "pause between frames with -t",
    },
    skip: {
      kind: "number",
      letter: "s",
      value: "S",
      min: 0,
      max: 1e9,
      unit: "s",
      help: "do not wait through gaps longer than this",
    },
    speed: { kind: "number", value: "X", min: 0.01, max: 100, default: 1, help: "times as fast as recorded" },
    count: { kind: "integer", letter: "n", value: "COUNT", min: 1, max: MAX_COUNT, help: "end after this many frames" },
    verbose: { kind: "flag", letter: "v", help: "print what is sent" },
    ...BUS_OPTIONS,
  },
  description: [
    "Without TO=FROM each line goes to the local interface that it names, as with canplayer.",
    "A malformed line is named by number, the others still play, and the exit code is 1.",
  ],
  examples: [
    { line: "canfleet play drive.log.gz pi-7/can0=can0", does: "what can0 recorded goes to a remote bus" },
    { line: "canfleet play drive.log sim:lab --speed 10", does: "every line, ten times as fast" },
  ],
});

export const RECORD = defineCommand({
  name: "record",
  group: "frames",
  summary: "write buses to a candump log",
  synopsis: ["BUS[,FILTER]… -f FILE [-n COUNT] [-T MS]"],
  arguments: [busArgument({ repeat: true })],
  options: {
    file: {
      kind: "text",
      letter: "f",
      value: "FILE",
      default: "canfleet-%Y%m%d-%H%M%S.log",
      help: "where to; .gz compresses; %Y %m %d %H %M %S are the start time, UTC; - is stdout",
    },
    count: { kind: "integer", letter: "n", value: "COUNT", min: 1, max: MAX_COUNT, help: "end after this many frames" },
    timeout: {
      kind: "integer",
      letter: "T",
      value: "MS",
      min: 1,
      max: 2 ** 31 - 1,
      unit: "ms",
      help: "end after this long without a frame",
    },
    ...BUS_OPTIONS,
  },
  description: [
    "Through a hub every frame is written once and in order, late ones after an outage too; what is missing is a line such as " +
      "`# lost 12 frames of pi-7-can0 at edge, numbers 40-51 of epoch 1700000000000000`, which players skip.",
  ],
  examples: [{ line: "canfleet record +/+ -f 'run-%Y%m%d-%H%M%S.log.gz'", does: "the whole fleet into one file" }],
});
