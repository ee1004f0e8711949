import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Program } from "./e2e/support/program.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "cli/bin/canfleet.js");
const UNITS = ["canfleet-hub.service", "canfleet-edge@.service"] as const;
/** Exposure that a unit may have, in tenths. */
const MAX_EXPOSURE = 20;

const folder = mkdtempSync(join(tmpdir(), "canfleet-systemd-"));
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).error === undefined;
const hasPython = spawnSync("python3", ["--version"]).error === undefined;
const missing = hasSystemd && hasPython ? false : "systemd-analyze, systemd-notify and python3 are needed";

/** Takes a service manager's place: each datagram is a line of JSON. */
const LISTENER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1]
s.bind("\\0" + path[1:] if path[0] == "@" else path)
print("listening", flush=True)
while True:
    print(json.dumps(s.recv(4096).decode()), flush=True)
`;

function unitText(name: (typeof UNITS)[number]): string {
  return readFileSync(join(ROOT, "packaging/systemd", name), "utf8");
}

/** A unit's command, with what stands for this machine's own folders. */
function commandOf(name: (typeof UNITS)[number], paths: { [inUnit: string]: string }): string[] {
  const line = /^ExecStart=\/usr\/bin\/canfleet (.*)$/m.exec(unitText(name))?.[1];
  assert.ok(line, "the unit has a command");
  return line.split(" ").map((argument) => paths[argument] ?? argument);
}

interface Watched {
  service: Program;
  manager: Program;
}

/** Starts a command of ours as systemd would. */
async function startWatched(args: string[], socket: string, env: NodeJS.ProcessEnv = {}): Promise<Watched> {
  const manager = Program.start("python3", ["-c", LISTENER, socket]);
  await manager.line(/^listening$/);
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("CANFLEET_"));
  const service = Program.start(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: {
      ...Object.fromEntries(kept),
      XDG_CONFIG_HOME: folder,
      NOTIFY_SOCKET: socket,
      WATCHDOG_USEC: "600000",
      ...env,
    },
  });
  return { service, manager };
}

/** What a service tells from its start to its end. */
async function assertLife({ service, manager }: Watched): Promise<void> {
  const told = (text: string): number => manager.lines.filter((line) => line.includes(text)).length;
  const wait = (what: string, isSo: () => boolean): Promise<true> =>
    manager.until(what, () => {
      if (service.ended !== undefined && !isSo()) throw new Error(`it ended with ${service.ended}: ${service.stderr}`);
      return isSo();
    });
  await wait("READY=1", () => told("READY=1") === 1);
  await wait("three WATCHDOG=1", () => told("WATCHDOG=1") >= 3);
  assert.equal(told("STOPPING=1"), 0);
  service.signal("SIGTERM");
  await service.exit();
  await wait("STOPPING=1", () => told("STOPPING=1") === 1);
  const [, first] = manager.lines;
  assert.match(first!, /^"READY=1/, "nothing comes before READY=1");
  await manager.stop();
}

describe("systemd", { skip: missing, timeout: 600_000 }, () => {
  after(async () => {
    await Program.killAll();
    rmSync(folder, { recursive: true });
  });

  for (const name of UNITS) {
    it(`S14 finds ${name} hardened`, () => {
      const args = ["security", "--offline=true", `--threshold=${MAX_EXPOSURE}`, "--no-pager"];
      const result = spawnSync("systemd-analyze", [...args, join(ROOT, "packaging/systemd", name)], {
        encoding: "utf8",
      });
      const verdict = /Overall exposure level for .*: ([0-9.]+)/.exec(result.stdout);
      assert.ok(verdict, result.stdout + result.stderr);
      console.log(verdict[0]);
      assert.equal(result.status, 0, result.stdout);
      assert.ok(Number(verdict[1]) * 10 <= MAX_EXPOSURE);
    });

    it(`understands ${name}`, () => {
      // Whether canfleet is installed is not the question.
      const copy = join(folder, name);
      writeFileSync(copy, unitText(name).replace("/usr/bin/canfleet", "/bin/true"));
      const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", copy], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stdout + stderr);
      assert.equal(stderr.includes(name), false, stderr);
    });
  }

  it("is told by the hub's unit when it is ready, that it lives, and that it ends", async () => {
    const data = join(folder, "hub-data");
    mkdirSync(data, { mode: 0o700 });
    const config = join(folder, "hub.yaml");
    writeFileSync(config, "hub: { listen: 127.0.0.1:0, http: off }\n");
    const args = commandOf(UNITS[0], { "/etc/canfleet/hub.yaml": config, "/var/lib/canfleet-hub": data });
    await assertLife(await startWatched(args, join(folder, "hub.socket")));
  });

  it("is told the same by the edge's unit, through an abstract socket, while its hub is away", async () => {
    const config = join(folder, "truck.yaml");
    const bus = "{ channel: sim:car, name: can0 }";
    writeFileSync(config, `edge:\n  name: truck\n  hub: mqtt://127.0.0.1:1\n  buses: [${bus}]\n`);
    const args = commandOf(UNITS[1], { "/etc/canfleet/%i.yaml": config });
    await assertLife(await startWatched(args, `@canfleet-test-${process.pid}`));
  });

  it("is told by systemd-notify where the native addon cannot be loaded", async () => {
    const hide = join(folder, "hide.cjs");
    writeFileSync(hide, 'require("node:module")._extensions[".node"] = () => { throw new Error("hidden"); };\n');
    const config = join(folder, "plain.yaml");
    writeFileSync(config, "hub: { listen: 127.0.0.1:0, http: off }\n");
    const env = { NODE_OPTIONS: `--require=${hide}`, WATCHDOG_USEC: "3000000" };
    await assertLife(await startWatched(["hub", "--config", config], join(folder, "plain.socket"), env));
  });

  it("is not told READY=1 by a hub whose configuration is refused, which ends with 78", async () => {
    const config = join(folder, "refused.yaml");
    writeFileSync(config, "hub: { listen: 0.0.0.0:0, http: off }\n");
    const { service, manager } = await startWatched(["hub", "--config", config], join(folder, "refused.socket"));
    assert.equal(await service.exit(), 78);
    await manager.stop();
    assert.deepEqual(manager.lines, ["listening"]);
    for (const name of UNITS) assert.match(unitText(name), /^RestartPreventExitStatus=78$/m);
  });
});
