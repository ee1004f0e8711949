import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CHECK = join(ROOT, "scripts/check-lockfile.mjs");

interface Entry {
  version?: string;
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  dependencies?: { [name: string]: string };
}

interface Lockfile {
  packages: { [path: string]: Entry };
}

const original = readFileSync(join(ROOT, "package-lock.json"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "canfleet-lockfile-"));

function check(lockfile: string): { status: number | null; said: string } {
  const file = join(folder, "package-lock.json");
  writeFileSync(file, lockfile);
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHECK, file], { encoding: "utf8" });
  return { status, said: stdout + stderr };
}

const YAML = "node_modules/yaml";

describe("S15 the supply chain", () => {
  after(() => rmSync(folder, { recursive: true }));

  it("is as it should be: integrity everywhere, no addresses, install scripts known, few packages", () => {
    const { status, said } = check(original);
    assert.equal(status, 0, said);
    console.log(said.trim());
  });

  const changes: [what: string, said: RegExp, change: (lockfile: Lockfile) => void][] = [
    ["a package without integrity", /yaml: no sha512/, ({ packages }) => delete packages[YAML]!.integrity],
    [
      "a weak hash",
      /yaml: no sha512/,
      ({ packages }) => (packages[YAML]!.integrity = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
    ],
    [
      "an address",
      /yaml: has an address/,
      ({ packages }) => (packages[YAML]!.resolved = "https://example.org/yaml.tgz"),
    ],
    ["an install script", /yaml: runs a script/, ({ packages }) => (packages[YAML]!.hasInstallScript = true)],
    ["a range of versions", /cli: yaml is wanted/, ({ packages }) => (packages.cli!.dependencies!.yaml = "^2.9.1")],
    [
      "something from git",
      /yaml: x comes from git/,
      ({ packages }) => (packages[YAML]!.dependencies = { x: "git+ssh://git@example.org/x.git" }),
    ],
    [
      "something from a file",
      /yaml: x comes from file/,
      ({ packages }) => (packages[YAML]!.dependencies = { x: "file:../x" }),
    ],
    [
      "a crowd of packages",
      /\d+ packages in production, 90 at most/,
      ({ packages }) => {
        for (let i = 0; i < 90; i++) packages[`node_modules/crowd-${i}`] = { ...packages[YAML]! };
      },
    ],
  ];
  for (const [what, said, change] of changes) {
    it(`is refused with ${what}`, () => {
      const lockfile = JSON.parse(original) as Lockfile;
      change(lockfile);
      const result = check(JSON.stringify(lockfile));
      assert.equal(result.status, 1);
      assert.match(result.said, said);
    });
  }

  it("is listed for a release, each package with its hash, and nothing that only tests", () => {
    const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", "sbom"], { cwd: ROOT, encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const bom = JSON.parse(stdout) as {
      bomFormat: string;
      metadata: { component: { name: string } };
      components: { name: string; version: string; "bom-ref": string; hashes?: { alg: string; content: string }[] }[];
      dependencies: { ref: string; dependsOn: string[] }[];
    };
    assert.deepEqual([bom.bomFormat, bom.metadata.component.name], ["CycloneDX", "canfleet"]);
    const names = bom.components.map(({ name }) => name);
    for (const wanted of ["@canfleet/sdk", "@canfleet/edge", "@canfleet/hub", "aedes", "mqtt", "ws", "yaml"]) {
      assert.ok(names.includes(wanted), wanted);
    }
    for (const unwanted of [
      "canfleet",
      "@canfleet/test",
      "@canfleet/bench",
      "eslint",
      "typescript",
      "playwright-core",
    ]) {
      assert.ok(!names.includes(unwanted), unwanted);
    }
    const yaml = bom.components.find(({ name }) => name === "yaml")!;
    const { packages } = JSON.parse(original) as Lockfile;
    const integrity = packages[YAML]!.integrity!.replace("sha512-", "");
    assert.deepEqual(yaml.hashes, [{ alg: "SHA-512", content: Buffer.from(integrity, "base64").toString("hex") }]);
    const refs = new Set(bom.components.map((component) => component["bom-ref"]));
    for (const { dependsOn } of bom.dependencies) for (const ref of dependsOn) assert.ok(refs.has(ref), ref);
    const command = bom.dependencies.find(({ ref }) => ref.startsWith("pkg:npm/canfleet@"));
    assert.ok(command?.dependsOn.includes(yaml["bom-ref"]));
  });
});
