import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { docker, prepareEngine, REPOSITORY, skipWithoutEngine } from "./engine.ts";

const TARGETS = ["hub", "edge"] as const;
/** As little as a container can have. */
const LEAST = ["--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"];
const ADDON = "/app/services/edge/native/build/Release/canfleet_socketcan.node";

interface ImageConfig {
  User: string;
  Labels: { [name: string]: string };
  Healthcheck?: { Test: string[] };
  ExposedPorts?: { [port: string]: unknown };
}

function ownVersion(): string {
  return (JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as { version: string }).version;
}

it("the version in the images' labels is that of the package", () => {
  const defaults = readFileSync(join(REPOSITORY, "Dockerfile"), "utf8").match(/^ARG VERSION=.*$/gm);
  assert.deepEqual(
    defaults,
    TARGETS.map(() => `ARG VERSION=${ownVersion()}`),
  );
});

describe("the images", { skip: skipWithoutEngine() }, () => {
  before(prepareEngine);

  for (const target of TARGETS) {
    const image = `canfleet-${target}:test`;

    it(`${target}: is not root's, can be asked for its health, and says its version`, async () => {
      const { lines } = await docker("image", "inspect", "--format", "{{json .Config}}", image);
      const config = JSON.parse(lines[0]!) as ImageConfig;
      assert.equal(config.User, "node");
      assert.ok(config.Healthcheck && config.Healthcheck.Test.length > 1);
      assert.equal(config.Labels["org.opencontainers.image.version"], ownVersion());
      assert.deepEqual(Object.keys(config.ExposedPorts ?? {}).sort(), target === "hub" ? ["1883/tcp", "8080/tcp"] : []);
    });

    it(`${target}: runs every command, with a root that cannot be written`, async () => {
      const version = await docker("run", ...LEAST, image, "--version");
      assert.equal(version.lines[0], `canfleet ${ownVersion()}`, version.stderr);
      const sent = await docker("run", ...LEAST, image, "gen", "sim:a", "-n", "2");
      assert.equal(sent.ended, 0, sent.stderr);
    });
  }

  it("edge: has the native driver", async () => {
    const script = `console.log(Object.keys(require(${JSON.stringify(ADDON)})).length > 0)`;
    const { lines, stderr } = await docker("run", ...LEAST, "--entrypoint", "node", "canfleet-edge:test", "-e", script);
    assert.deepEqual(lines, ["true"], stderr);
    const edge = await docker(
      "run",
      ...LEAST,
      "canfleet-edge:test",
      "edge",
      "can0",
      "--name",
      "a",
      "--driver",
      "native",
    );
    assert.equal(edge.ended, 1, edge.stderr);
    assert.match(edge.stderr, /can0|SocketCAN/);
    assert.doesNotMatch(edge.stderr, /not built|cannot be loaded/);
  });

  it("hub: does not open itself to a network before somebody has been let in", async () => {
    const { ended, stderr } = await docker("run", ...LEAST, "canfleet-hub:test");
    assert.equal(ended, 78, stderr);
    assert.match(stderr, /reachable from other machines/);
  });
});
