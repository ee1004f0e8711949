import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it, type TestContext } from "node:test";
import {
  FLAG_BRS,
  FLAG_ECHO,
  FLAG_FD,
  FLAG_OWN,
  FrameBatch,
  idFilter,
  isCanfleetError,
  parseFrame,
} from "@canfleet/sdk";
import type { CanInterface } from "../../can-interface.ts";
import { RecordingSink, until } from "../recording-sink.suite.ts";
import { runCanInterfaceSuite } from "../can-interface.suite.ts";
import { decodeFrames, decodeLost, KIND_FRAMES, KIND_LOST, MessageReader } from "./protocol.ts";
import { createSimDriver, type SimOptions } from "./sim-driver.ts";

const ECHO = FLAG_OWN | FLAG_ECHO;

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cf-"));
});
after(async () => {
  await rm(folder, { recursive: true });
});

interface Participant {
  bus: CanInterface;
  sink: RecordingSink;
}

async function participant(t: TestContext, name: string, options: SimOptions = {}): Promise<Participant> {
  const bus = createSimDriver(name, { folder, ...options });
  const sink = new RecordingSink();
  t.after(() => bus.close());
  await bus.open(sink);
  return { bus, sink };
}

const frames = (...texts: string[]): FrameBatch => FrameBatch.of(...texts.map(parseFrame));

/** A participant in a process of its own: sends the lines it is given, prints each frame that it receives. */
const PARTICIPANT = `
const [sim, sdk, name, options] = process.argv.slice(1);
const { createSimDriver } = await import(sim);
const { FrameBatch, formatFrame, parseFrame } = await import(sdk);
const { createInterface } = await import("node:readline");
const bus = createSimDriver(name, JSON.parse(options));
await bus.open({
  frames(batch) { for (let i = 0; i < batch.count; i++) console.log(formatFrame(batch, i) + " " + batch.flags[i]); },
  lost(frames) { console.log("lost " + frames); },
  link(state) { console.log(state); },
  warning(text) { console.log("warning " + text); },
  end() {},
});
console.log("open");
for await (const line of createInterface({ input: process.stdin })) bus.send(FrameBatch.of(parseFrame(line)));
await bus.close();
`;

interface OtherProcess {
  child: ChildProcess;
  lines: string[];
  send(text: string): void;
}

async function otherProcess(t: TestContext, name: string, options: SimOptions = {}): Promise<OtherProcess> {
  const given = JSON.stringify({ folder, ...options });
  const sim = new URL("./sim-driver.js", import.meta.url).href;
  const sdk = import.meta.resolve("@canfleet/sdk");
  const child = spawn(process.execPath, ["--input-type=module", "-e", PARTICIPANT, sim, sdk, name, given], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  await until(() => lines.includes("open"), "the other process has opened the bus");
  return { child, lines, send: (text) => child.stdin.write(`${text}\n`) };
}

const suiteFolder = join(tmpdir(), `cf-suite-${process.pid}`);
after(async () => {
  await rm(suiteFolder, { recursive: true, force: true });
});
runCanInterfaceSuite({
  name: "sim driver",
  create: () => createSimDriver("suite", { folder: suiteFolder }),
  other: () => createSimDriver("suite", { folder: suiteFolder }),
});

describe("a simulated bus", () => {
  it("gives a sender its own frames as echoes and the others the same frames unmarked", async (t) => {
    const a = await participant(t, "two");
    const b = await participant(t, "two");
    const sent = ["123#DEADBEEF", "1F334455#", "123#R4", "123##1AABB", "123#1122334455667788_C"];
    assert.deepEqual(a.bus.send(frames(...sent)), { accepted: sent.length });
    await until(() => a.sink.count === sent.length && b.sink.count === sent.length, "both have all frames");
    assert.deepEqual(a.sink.texts, sent);
    assert.deepEqual(b.sink.texts, sent);
    assert.deepEqual(b.sink.flags, [0, 0, 0, FLAG_FD | FLAG_BRS, 0]);
    assert.deepEqual(
      a.sink.flags,
      b.sink.flags.map((flags) => flags | ECHO),
    );
    assert.deepEqual(a.sink.timestampsUs, b.sink.timestampsUs);
    assert.ok(Math.abs(a.sink.timestampsUs[0]! / 1000 - Date.now()) < 60_000);
  });

  it("sends only the rows from the one it is told", async (t) => {
    const a = await participant(t, "from");
    assert.deepEqual(a.bus.send(frames("001#", "002#", "003#"), 1), { accepted: 2 });
    await until(() => a.sink.count === 2, "the echoes are there");
    assert.deepEqual(a.sink.texts, ["002#", "003#"]);
  });

  it("has one order of all frames for everybody", async (t) => {
    const all = [await participant(t, "order"), await participant(t, "order"), await participant(t, "order")];
    for (let round = 0; round < 50; round++) {
      all.forEach(({ bus }, i) => bus.send(frames(`${i}${round.toString(16).padStart(2, "0")}#`)));
      if (round % 7 === 0) await new Promise(setImmediate);
    }
    await until(() => all.every(({ sink }) => sink.count === 150), "everybody has everything");
    assert.deepEqual(all[1]!.sink.texts, all[0]!.sink.texts);
    assert.deepEqual(all[2]!.sink.texts, all[0]!.sink.texts);
    const times = all[0]!.sink.timestampsUs;
    for (let i = 1; i < times.length; i++) assert.ok(times[i]! >= times[i - 1]!);
  });

  it("lets only frames through that pass the filters, echoes too", async (t) => {
    const a = await participant(t, "filter");
    const b = await participant(t, "filter");
    a.bus.setFilters([idFilter(0x123, undefined, false)]);
    a.bus.send(frames("124#", "123#01"));
    b.bus.send(frames("125#", "123#02"));
    await until(() => a.sink.count === 2 && b.sink.count === 4, "all frames went through");
    assert.deepEqual(a.sink.texts.sort(), ["123#01", "123#02"]);
  });

  it("says nothing before open has resolved, and nothing after close", async (t) => {
    const first = createSimDriver("car", { folder });
    t.after(() => first.close());
    await first.open(new RecordingSink());
    const bus = createSimDriver("car", { folder });
    const sink = new RecordingSink();
    let opened = false;
    sink.frames = () => assert.ok(opened);
    await bus.open(sink);
    opened = true;
    await bus.close();
    sink.frames = () => assert.fail("a frame after close");
    sink.link = () => assert.fail("a link event after close");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(bus.send(frames("123#")), { accepted: 0, refusal: { kind: "down", errno: "ENETDOWN" } });
  });

  it("refuses frames while too many wait, and says so", async (t) => {
    const a = await participant(t, "full");
    const many = new FrameBatch(20_000);
    const one = frames(`123##0${"AA".repeat(64)}`);
    while (many.append(one) > 0);
    const outcome = a.bus.send(many);
    assert.deepEqual(outcome.refusal, { kind: "no-buffer", errno: "ENOBUFS" });
    assert.ok(outcome.accepted > 0 && outcome.accepted < many.count);
    await until(() => a.sink.count === outcome.accepted, "what was accepted came back");
    assert.deepEqual(a.bus.send(one), { accepted: 1 });
  });

  it("is found under its name only by drivers with that name", async (t) => {
    const a = await participant(t, "left");
    const b = await participant(t, "right");
    a.bus.send(frames("111#"));
    b.bus.send(frames("222#"));
    await until(() => a.sink.count === 1 && b.sink.count === 1, "each has its own frame");
    assert.deepEqual([a.sink.texts, b.sink.texts], [["111#"], ["222#"]]);
    assert.equal(a.bus.channel, "sim-left");
    assert.equal(createSimDriver("0123456789abcde").channel, "0123456789abcde");
  });

  for (const name of ["", "a/b", "../x", "0123456789abcdef", "a b", "ä"]) {
    it(`refuses the name ${JSON.stringify(name)}`, () => assert.throws(() => createSimDriver(name), RangeError));
  }

  it("refuses a folder that others may enter", async () => {
    const open = join(folder, "open");
    await mkdir(open);
    await chmod(open, 0o755);
    const bus = createSimDriver("x", { folder: open });
    await assert.rejects(bus.open(new RecordingSink()), (error) => isCanfleetError(error, "CAN_OPEN_FAILED"));
  });

  it("does not notice that one driver of the serving process leaves", async (t) => {
    const first = await participant(t, "stay");
    const second = await participant(t, "stay");
    second.bus.send(frames("001#"));
    await first.bus.close();
    second.bus.send(frames("002#"));
    await until(() => second.sink.count === 2, "both frames came back");
    assert.deepEqual(second.sink.links, []);
  });

  it("leaves no socket behind", async (t) => {
    const { bus } = await participant(t, "tidy");
    await bus.close();
    assert.deepEqual(
      (await readdir(folder)).filter((file) => file.startsWith("tidy")),
      [],
    );
  });

  it("has one server, however many start at once", async (t) => {
    const all = await Promise.all(Array.from({ length: 8 }, () => participant(t, "rush")));
    for (const { bus } of all) bus.send(frames("123#"));
    await until(() => all.every(({ sink }) => sink.count === 8), "all frames reached all");
  });
});

describe("the car's bus", () => {
  it("comes in batches, the same for all participants", async (t) => {
    const a = await participant(t, "car");
    const b = await participant(t, "car");
    await until(() => b.sink.count > 300, "there is traffic");
    const [first = 0] = b.sink.timestampsUs;
    const seen = a.sink.texts.slice(a.sink.timestampsUs.indexOf(first)).slice(0, 200);
    assert.deepEqual(seen, b.sink.texts.slice(0, seen.length));
    assert.ok(seen.length > 0);
    assert.ok(b.sink.batches.length < b.sink.count / 1.5, "frames came one by one");
  });
});

describe("processes on one simulated bus", () => {
  it("hear each other, and go on when the one that serves is killed", { timeout: 60_000 }, async (t) => {
    const server = await otherProcess(t, "kill");
    const here = await participant(t, "kill");
    const third = await otherProcess(t, "kill");

    server.send("100#01");
    here.bus.send(frames("200#02"));
    third.send("300#03");
    await until(() => here.sink.count === 3 && third.lines.length === 4, "three frames reached all");
    assert.deepEqual(here.sink.texts.sort(), ["100#01", "200#02", "300#03"]);
    assert.ok(third.lines.includes("100#01 0") && third.lines.includes(`300#03 ${ECHO}`));

    const gone = once(server.child, "exit");
    server.child.kill("SIGKILL");
    await gone;
    await until(() => here.sink.links.includes("up") && third.lines.includes("up"), "another took over");
    assert.deepEqual(here.sink.links, ["down", "up"]);
    assert.deepEqual(here.sink.lossCalls, [null], "nobody knows what was lost meanwhile");

    here.bus.send(frames("400#04"));
    third.send("500#05");
    await until(() => here.sink.count === 5 && third.lines.includes("400#04 0"), "traffic goes on");
    assert.ok(here.sink.texts.includes("500#05"));
  });

  it("go on with the same story when the one that serves is gone", { timeout: 60_000 }, async (t) => {
    const startUs = Date.now() * 1000 - 1000e6;
    const own = { folder: await mkdtemp(join(folder, "s")) };
    const first = await otherProcess(t, "car", { ...own, startUs });
    const second = await participant(t, "car", own);
    await until(() => second.sink.texts.some(isEngineTemperature), "the temperature was told");
    first.child.kill("SIGKILL");
    await until(() => second.sink.links.includes("up"), "the second serves");
    const before = second.sink.count;
    await until(() => second.sink.texts.slice(before).some(isEngineTemperature), "the temperature was told again");
    const coolant = second.sink.texts.filter(isEngineTemperature).map((text) => parseInt(text.slice(4, 6), 16) - 40);
    assert.ok(
      coolant.every((celsius) => celsius > 80),
      `the engine got cold: ${coolant.join(" ")}`,
    );
  });
});

const isEngineTemperature = (text: string): boolean => text.startsWith("300#");

describe("a slow participant", () => {
  it("loses what is too much, is told how much, and holds up nobody", { timeout: 60_000 }, async (t) => {
    const a = await participant(t, "slow");
    const slow = connect(join(folder, "slow.sock"));
    t.after(() => slow.destroy());
    await once(slow, "connect");
    slow.pause();

    const TOTAL = 40_000;
    const block = new FrameBatch(100);
    const one = frames(`123##0${"AA".repeat(64)}`);
    while (block.append(one) > 0);
    for (let sent = 0; sent < TOTAL;) {
      sent += a.bus.send(block).accepted;
      await new Promise(setImmediate);
    }
    await until(() => a.sink.count === TOTAL, "the others have everything");
    assert.deepEqual(a.sink.lossCalls, []);

    const reader = new MessageReader();
    const got = new FrameBatch(256);
    let received = 0;
    let lost = 0;
    const count = (): void => {
      received += got.count;
      got.clear();
    };
    slow.on("data", (chunk) => {
      reader.push(chunk);
      for (let body = reader.next(); body; body = reader.next()) {
        if (body[0] === KIND_LOST) lost += decodeLost(body)!;
        if (body[0] === KIND_FRAMES) assert.ok(decodeFrames(body, got, count));
        count();
      }
    });
    slow.resume();
    await until(() => received + lost === TOTAL, `received and lost make ${TOTAL}`);
    assert.ok(lost > 0 && received > 0);
  });
});

describe("a participant that talks rubbish", () => {
  it("is thrown out and touches nobody else", async (t) => {
    const a = await participant(t, "rubbish");
    const rubbish = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([1, 0, 0, 0, 99]),
      Buffer.from([5, 0, 0, 0, KIND_FRAMES, 1, 2, 3, 4]),
      Buffer.from([16, 0, 0, 0, KIND_FRAMES, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 200, 0, 0]),
    ];
    for (const bytes of rubbish) {
      const socket = connect(join(folder, "rubbish.sock"));
      socket.resume();
      const closed = once(socket, "close");
      socket.write(bytes);
      await closed;
    }
    a.bus.send(frames("123#"));
    await until(() => a.sink.count === 1, "the bus goes on");
    assert.deepEqual(a.sink.texts, ["123#"]);
  });
});

describe("a name that was lost", () => {
  it("does not part the bus for long when its file was removed or replaced", { timeout: 60_000 }, async (t) => {
    const a = await participant(t, "swept");
    await rm(join(folder, "swept.sock"));
    await writeFile(join(folder, "swept.sock"), "");
    const b = await participant(t, "swept");
    await until(() => a.sink.links.includes("up"), "the first has come to the second's bus");
    a.bus.send(frames("123#"));
    await until(() => b.sink.count === 1, "they meet");
  });
});
