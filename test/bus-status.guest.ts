// Runs in a guest with vcan and slcan, which test/bus-status.test.ts boots.
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { readFileSync } from "node:fs";
import { StatusWatcher, until } from "./status-watcher.suite.ts";

const run = promisify(execFile);

/**
 * A CAN controller of the kernel's own (slcan), at whose serial line the test sits: what it says there the kernel takes
 * for a controller's reports, and makes frames and error frames of them.
 */
class SerialController {
  readonly #terminal: ChildProcess;

  private constructor(terminal: ChildProcess) {
    this.#terminal = terminal;
  }

  static async plugIn(): Promise<SerialController> {
    await run("/run/modprobe", ["slcan"]);
    // script(1) makes the terminal. Its line is the interface's as long as slcan_attach waits for a key.
    const attach = "line=$(tty); sleep 1000 | slcan_attach -w $line";
    const terminal = spawn("script", ["-q", "-c", attach, "/dev/null"], { stdio: ["pipe", "ignore", "inherit"] });
    await until(
      // Not vcan0, which is there already.
      () => /^ *can0:/m.test(readFileSync("/proc/net/dev", "utf8")),
      () => "can0",
    );
    await run("ip", ["link", "set", "can0", "type", "can", "bitrate", "500000"]);
    await run("ip", ["link", "set", "can0", "up"]);
    return new SerialController(terminal);
  }

  say(...lines: string[]): void {
    this.#terminal.stdin!.write(lines.map((line) => `${line}\r`).join(""));
  }

  pullOut(): void {
    this.#terminal.kill();
  }
}

describe("status of a bus", () => {
  let controller: SerialController | undefined;
  let watcher: StatusWatcher;

  before(async () => {
    controller = await SerialController.plugIn();
    watcher = await StatusWatcher.start([{ channel: "can0" }, { channel: "vcan0" }]);
  });
  after(async () => {
    controller?.pullOut();
    await watcher.close();
  });

  it("has the bit rate and the state that the controller is found with", async () => {
    const status = await watcher.find("can0", ({ bitrate }) => bitrate !== null);
    assert.deepEqual([status.bitrate, status.dataBitrate], [500_000, null]);
    await watcher.find("can0", ({ busState }) => busState === "error-active");
    await until(
      () => watcher.info?.buses.can0?.bitrate === 500_000,
      () => "info with the bit rate",
    );
    assert.equal(watcher.info?.buses.can0?.restartMs, 0);
  });

  it("has a load as soon as there is traffic", async () => {
    const loaded = watcher.next("can0", ({ loadPercent }) => loadPercent !== null && loadPercent > 0);
    // 100 frames of 8 bytes, id 555: 11,100 bits or more, 2 % of a second.
    controller!.say(...Array.from({ length: 100 }, () => "t55585555555555555555"));
    const { loadPercent } = await loaded;
    assert.ok(loadPercent! <= 100, `${loadPercent} %`);
  });

  it("follows the controller into bus-off, with its counters", async () => {
    controller!.say("sw096000");
    const warning = await watcher.find("can0", ({ busState }) => busState === "error-warning");
    assert.deepEqual([warning.errors.rx, warning.errors.tx, warning.errors.frames], [96, 0, 1]);
    controller!.say("e1a", "sp000130");
    const passive = await watcher.find("can0", ({ busState }) => busState === "error-passive");
    assert.deepEqual([passive.errors.rx, passive.errors.tx, passive.errors.frames], [0, 130, 3]);
    controller!.say("sb256256");
    const busOff = await watcher.find("can0", ({ busState }) => busState === "bus-off");
    assert.deepEqual([busOff.state, busOff.errors.frames], ["up", 4]);
  });

  it("finds the controller in order after the interface was restarted", async () => {
    await run("ip", ["link", "set", "can0", "down"]);
    await watcher.next("can0", ({ state, busState }) => state === "down" && busState === null);
    await run("ip", ["link", "set", "can0", "up"]);
    const status = await watcher.next("can0", ({ busState }) => busState === "error-active");
    assert.deepEqual([status.state, status.bitrate], ["up", 500_000]);
  });

  it("follows error frames where there is no controller to ask", async () => {
    await run("cansend", ["vcan0", "20000040#0000000000000000"]);
    const off = await watcher.find("vcan0", ({ busState }) => busState === "bus-off");
    assert.deepEqual([off.bitrate, off.loadPercent], [null, null]);
    assert.deepEqual(off.errors, { frames: 1, tx: null, rx: null, restarts: 0 });
    await run("cansend", ["vcan0", "20000100#0000000000000000"]);
    const back = await watcher.find("vcan0", ({ busState }) => busState === "error-active");
    assert.deepEqual(back.errors, { frames: 2, tx: null, rx: null, restarts: 1 });
  });
});
