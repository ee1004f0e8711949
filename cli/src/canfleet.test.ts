import assert from "node:assert/strict";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { Place, PROGRAM } from "./running-canfleet.suite.ts";

let place: Place;
before(async () => {
  place = await Place.make();
});
after(() => place.remove());

const NO_HUB = "mqtt://127.0.0.1:1";

const FAILURES: [line: string, code: number, says: RegExp][] = [
  ["dmp", 2, /there is no command "dmp"; did you mean dump\?\n/],
  ["--verbose", 2, /expected a command before --verbose/],
  ["dump", 2, /dump needs BUS/],
  ["dump sim:a --cuont 3", 2, /no option --cuont; did you mean --count\?/],
  ["dump Pi-7/can0", 2, /bus "Pi-7\/can0": expected EDGE\/BUS/],
  ["dump sim:a,12G", 2, /filter "12G": expected ID/],
  ["send sim:a 12G#", 2, /frame "12G#": expected an id/],
  ["send +/can0 123#", 2, /\+\/can0: sending needs one bus/],
  ["gen sim:a -L 9", 2, /-L 9: expected r, i or a payload length/],
  ["bridge sim:a sim:a", 2, /cannot be bridged with itself/],
  ["edge", 2, /which bus\?/],
  ["completion tcsh", 2, /no completion for "tcsh": expected bash, zsh, fish/],
  ["help dmp", 2, /did you mean dump\?/],
  [`dump pi-7/can0 --hub ${NO_HUB}`, 3, /hub mqtt:\/\/127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED/],
  [`send pi-7/can0 123# --hub ${NO_HUB}`, 3, /cannot be reached/],
  [`ls --hub ${NO_HUB}`, 3, /cannot be reached/],
  ["dump no-such-can0", 1, /^canfleet: /],
  ["play none.log sim:a", 1, /none\.log: no such file/],
  ["play . sim:a", 1, /\.: is a folder/],
  ["hub --listen 0.0.0.0:0", 78, /reachable from other machines/],
  ["edge sim:a --name Pi_7", 78, /name "Pi_7": expected 1 to 32/],
];

/** A recording on stdout. */
const TO_STDOUT = ["record", "sim:full", "-f", "-"];

describe("what goes wrong", () => {
  for (const [line, code, says] of FAILURES) {
    it(`canfleet ${line}: exit ${code}, in words`, async () => {
      const ended = await place.run(line.split(" "));
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, says);
      assert.match(ended.stderr, /^canfleet: /);
      assert.doesNotMatch(ended.stderr, /\n\s+at /, "a stack trace");
      assert.equal(ended.stdout, "");
    });
  }

  it("canfleet alone: exit 2, with the commands", async () => {
    const { code, stderr } = await place.run([]);
    assert.equal(code, 2);
    assert.match(stderr, /^Usage: canfleet COMMAND/m);
  });

  it("a port in use: exit 1, naming the address", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await place.run(["hub", "--listen", `127.0.0.1:${port}`, "--http", "off"]);
    server.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`another program listens on 127.0.0.1:${port}`));
  });

  it("wrong settings: exit 78, each with its line", async () => {
    await writeFile(join(place.folder, "wrong.yaml"), "edge:\n  name: Pi 7\n  bus: can0\n");
    const { code, stderr } = await place.run(["edge", "--config", "wrong.yaml"]);
    assert.equal(code, 78);
    assert.match(stderr, /has 2 mistakes:\n {2}wrong\.yaml:2: edge\.name = "Pi 7": .*\n {2}wrong\.yaml:3: edge\.bus: /);
  });

  it("a count that was not reached in time: exit 27; no count: exit 0", async () => {
    assert.equal((await place.run(["dump", "sim:quiet", "-n", "1", "-T", "50"])).code, 27);
    assert.equal((await place.run(["dump", "sim:quiet", "-T", "50"])).code, 0);
  });
});

describe("help and version", () => {
  it("are data on stdout, exit 0", async () => {
    for (const args of [
      ["--help"],
      ["help"],
      ["dump", "--help"],
      ["help", "dump"],
      ["dump", "can0", "-h"],
      ["--version"],
    ]) {
      const { code, stdout, stderr } = await place.run(args);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /canfleet/);
    }
  });

  it("name the versions of the wire formats with --json", async () => {
    const { stdout } = await place.run(["--version", "--json"]);
    assert.deepEqual((JSON.parse(stdout) as { wire: unknown }).wire, { tcp: 1, mqtt: 1 });
  });
});

describe("frames on a simulated bus", () => {
  it("are printed as candump prints them", async () => {
    const gen = place.start(["gen", "sim:a", "-I", "123", "-D", "DEADBEEF", "-g", "5", "-i"]);
    const plain = await place.run(["dump", "sim:a", "-n", "2"]);
    assert.deepEqual(plain, { code: 0, stdout: "  sim-a  123   [4]  DE AD BE EF\n".repeat(2), stderr: "" });
    const log = await place.run(["dump", "sim:a", "-L", "-n", "1"]);
    assert.match(log.stdout, /^\(\d{10}\.\d{6}\) sim-a 123#DEADBEEF\n$/);
    const timed = await place.run(["dump", "sim:a,123:7FF", "-tz", "-x", "-a", "-n", "1"]);
    assert.match(timed.stdout, /^ \(000\.000000\) {2}sim-a {2}RX - - {2}123 {3}\[4\] {2}DE AD BE EF {15}'\.{4}'\n$/);
    const json = await place.run(["dump", "sim:a", "--json", "-n", "1"]);
    const { t, ...frame } = JSON.parse(json.stdout) as { t: number };
    assert.ok(Number.isInteger(t));
    const expected = {
      bus: "sim-a",
      id: "123",
      ext: false,
      kind: "data",
      dlc: 4,
      len: 4,
      data: "DEADBEEF",
      fd: false,
      own: false,
    };
    assert.deepEqual(frame, expected);
    gen.kill("SIGINT");
    assert.equal((await gen.ended()).code, 130);
  });

  it(
    "end without a word when nobody reads any more",
    { skip: process.platform === "win32" && "needs a shell" },
    async () => {
      const script = '"$0" "$1" dump sim:car | head -n 1; echo "${PIPESTATUS[0]}"';
      const shell = place.startProcess("bash", ["-c", script, process.execPath, PROGRAM]);
      shell.end("");
      const { stdout, stderr } = await shell.ended();
      assert.match(stdout, /^ {2}sim-car .*\n0\n$/);
      assert.equal(stderr, "");
    },
  );

  it("are confirmed with their time on the bus", async () => {
    const { code, stdout } = await place.run(["send", "sim:b", "123#11", "12345678#R2", "--wait"]);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^sent {2}sim:b {2}123#11 {2}on the bus at \d{10}\.\d{6} .*\nsent {2}sim:b {2}12345678#R2 {2}on the bus/,
    );
  });

  it("are recorded whole, compressed, when a signal ends it", async () => {
    const record = place.start(["record", "sim:car", "-f", "car-%Y.log.gz"]);
    await record.says(/recording sim:car to (car-\d{4}\.log\.gz)/);
    await place.run(["dump", "sim:car", "-n", "200"]);
    record.kill("SIGTERM");
    const { code, stderr } = await record.ended();
    assert.equal(code, 143);
    const [, frames, name = ""] = /(\d+) frames in (\S+)\n/.exec(stderr) ?? [];
    const lines = gunzipSync(await readFile(join(place.folder, name)))
      .toString("utf8")
      .trimEnd()
      .split("\n");
    assert.equal(lines.length, Number(frames));
    for (const line of lines) assert.match(line, /^\(\d{10}\.\d{6}\) sim-car [0-9A-F]{3}#[0-9A-F]*$/);
    assert.match((await place.run(["record", "sim:car", "-f", name])).stderr, /exists already; name another file/);
  });

  it("that cannot be written any further end the recording with one sentence", async () => {
    await symlink("/dev/full", join(place.folder, "full.log"));
    await symlink("/dev/full", join(place.folder, "full.log.gz"));
    const car = place.start(["gen", "sim:full", "-g", "1", "-i"]);
    for (const name of ["full.log", "full.log.gz"]) {
      const { code, stderr } = await place.run(["record", "sim:full", "-f", name]);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`^canfleet: recording .*\ncanfleet: ${name}: no space left on the disk\n$`));
    }
    const toStdout = place.startProcess("sh", ["-c", `"$0" "$@" > /dev/full`, process.execPath, PROGRAM, ...TO_STDOUT]);
    const { code, stderr } = await toStdout.ended();
    assert.equal(code, 1);
    assert.match(stderr, /^canfleet: cannot write to stdout: .*ENOSPC.*\n(canfleet: \d+ frames.*\n)?$/);
    const nowhere = await place.run(["record", "sim:full", "-f", "no/such/folder.log"]);
    assert.equal(nowhere.code, 1);
    assert.equal(nowhere.stderr, "canfleet: no/such/folder.log: no such file or folder\n");
    car.kill("SIGTERM");
    await car.ended();
  });

  it("are played from a log; malformed lines are named and the rest is played", async () => {
    const log = [
      "(1700000000.000000) can0 001#AA",
      "(1700000000.001000) can0 00G#AA",
      "(17x) can0 002#",
      "(1700000000.002000) can1 003#CC",
      "(1700000000.003000) can0 004#DD",
      "",
    ].join("\n");
    await writeFile(join(place.folder, "bad.log"), log);
    const dump = place.start(["dump", "sim:c"]);
    // dump is there once it prints what somebody sends all the time.
    const marker = place.start(["gen", "sim:c", "-I", "7FF", "-L", "0", "-g", "10", "-i"]);
    await dump.says(/7FF/, "stdout");
    const played = await place.run(["play", "bad.log", "sim:c=can0"]);
    assert.equal(played.code, 1);
    assert.match(
      played.stderr,
      /^canfleet: bad\.log:2: .*\ncanfleet: bad\.log:3: .*\ncanfleet: 1 lines of can1 were not played/,
    );
    await dump.says(/004 {3}\[1\] {2}DD/, "stdout");
    marker.kill("SIGINT");
    dump.kill("SIGINT");
    const { stdout } = await dump.ended();
    const frames = stdout.split("\n").filter((line) => line !== "" && !line.includes("7FF"));
    assert.deepEqual(frames, ["  sim-c  001   [1]  AA", "  sim-c  004   [1]  DD"]);
    const all = await place.run(["play", "-", "sim:c", "-t", "-v"], {}, log);
    assert.deepEqual([all.code, all.stdout], [1, "can0  001#AA\ncan1  003#CC\ncan0  004#DD\n"]);
  });
});

describe("a signal", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`${signal} ends dump with ${code}`, async () => {
      const dump = place.start(["dump", "sim:car"]);
      await dump.says(/sim-car/, "stdout");
      dump.kill(signal);
      const ended = await dump.ended();
      assert.deepEqual([ended.code, ended.stderr], [code, ""]);
    });

    const services: [args: string[], ready: RegExp][] = [
      [["hub", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], /page {2}http/],
      [["edge", "sim:car=can0", "--name", "car", "--hub", NO_HUB], /hub mqtt/],
      [["bridge", "sim:car", "sim:d"], /Ctrl-C ends/],
      [["demo", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], /A few of the frames/],
    ];
    for (const [args, ready] of services) {
      it(`${signal} ends ${args[0] ?? ""} cleanly with 0`, async () => {
        const service = place.start(args);
        await service.says(ready);
        service.kill(signal);
        const { code, stderr } = await service.ended();
        assert.equal(code, 0, stderr);
        assert.doesNotMatch(stderr, /\n\s+at /);
      });
    }
  }

  it("ends play while it waits for stdin", async () => {
    const play = place.start(["play", "-", "sim:e", "-v"]);
    play.write("(1700000000.000000) can0 001#AA\n");
    await play.says(/001#AA/, "stdout");
    play.kill("SIGINT");
    assert.equal((await play.ended()).code, 130);
  });
});
