/**
 * Checks what a lockfile must be, so that an install gets the same bytes everywhere and runs no code unasked:
 * an integrity for every package, no registry address, nothing from git, a file or a URL, install scripts only where
 * we know why, and no more of them in production than somebody can look through.
 *
 *     node scripts/check-lockfile.mjs [package-lock.json]
 */
import { isWorkspace, nameOf, productionPaths, readLockfile } from "./lockfile.mjs";

/** Packages that may run code at install, and what for. */
const INSTALL_SCRIPTS = {
  socketcan: "compiles the second SocketCAN driver",
  "cbor-extract": "unpacks a prebuilt decoder (switched off by allowScripts)",
  esbuild: "checks its binary (switched off by allowScripts)",
  "cpu-features": "compiles a part of ssh2 (switched off by allowScripts)",
  protobufjs: "warns of versions (switched off by allowScripts)",
  ssh2: "compiles faster encryption (switched off by allowScripts)",
  "@canfleet/edge": "compiles the native SocketCAN driver",
};
const DEPENDENCY_KINDS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
const OWN_VERSION = /^\d+\.\d+\.\d+$/;

/** Packages from a registry that a release may bring: each is somebody who could put code on a hub. */
const MAX_PRODUCTION_PACKAGES = 90;

const packages = readLockfile(process.argv[2]);
const mistakes = [];

function checkSource(path, entry) {
  if (entry.link) {
    if (!isWorkspace(entry.resolved) || packages[entry.resolved] === undefined)
      mistakes.push(`${path}: link to ${entry.resolved}`);
    return;
  }
  if (entry.resolved !== undefined) mistakes.push(`${path}: has an address, ${entry.resolved}`);
  if (!isWorkspace(path) && !/^sha512-/.test(entry.integrity ?? "")) mistakes.push(`${path}: no sha512 integrity`);
}

function checkInstallScript(path, entry) {
  if (entry.hasInstallScript && !(nameOf(path, entry) in INSTALL_SCRIPTS)) {
    mistakes.push(`${path}: runs a script at install`);
  }
}

/** Ours are pinned to one version; a range would be decided by the day of the install. */
function checkOwnDependencies(path, entry) {
  for (const kind of DEPENDENCY_KINDS) {
    for (const [name, wanted] of Object.entries(entry[kind] ?? {})) {
      if (!OWN_VERSION.test(wanted))
        mistakes.push(`${path || "the root"}: ${name} is wanted as "${wanted}", not as one version`);
    }
  }
}

function checkForeignDependencies(path, entry) {
  for (const kind of DEPENDENCY_KINDS) {
    for (const [name, wanted] of Object.entries(entry[kind] ?? {})) {
      if (/[:/]/.test(wanted) && !wanted.startsWith("npm:")) mistakes.push(`${path}: ${name} comes from ${wanted}`);
    }
  }
}

for (const [path, entry] of Object.entries(packages)) {
  checkSource(path, entry);
  checkInstallScript(path, entry);
  if (isWorkspace(path)) checkOwnDependencies(path, entry);
  else checkForeignDependencies(path, entry);
}

const production = productionPaths(packages).length;
if (production > MAX_PRODUCTION_PACKAGES) {
  mistakes.push(`${production} packages in production, ${MAX_PRODUCTION_PACKAGES} at most`);
}

if (mistakes.length > 0) {
  console.error(`package-lock.json:\n${mistakes.map((mistake) => `  ${mistake}`).join("\n")}`);
  process.exitCode = 1;
} else {
  console.log(
    `package-lock.json: ${Object.keys(packages).length} packages, ${production} of them in production, ` +
      "all with integrity and without addresses",
  );
}
