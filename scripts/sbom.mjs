/**
 * Prints what a release is made of as a CycloneDX 1.5 list (JSON): the `canfleet` command, our packages under it, and every
 * package from a registry that an install without development packages brings, with its SHA-512 and what it needs.
 *
 *     npm run --silent sbom > canfleet.cdx.json
 *
 * Made from package-lock.json alone, the same each time. `npm sbom` leaves out half of the tree where workspaces depend on
 * each other (npm 11.19). Exit code 1 when what is found from the command's dependencies is not what npm would install.
 */
import { isWorkspace, nameOf, productionPaths, readLockfile } from "./lockfile.mjs";

const ROOT_PATH = "cli";
const packages = readLockfile();

/** Where a dependency of the package at `from` is: the nearest node_modules on the way up; undefined where it is optional. */
function resolve(from, name) {
  for (let folder = from; ; folder = folder.replace(/\/?(node_modules\/(@[^/]+\/)?[^/]+|[^/]+)$/, "")) {
    const path = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    const entry = packages[path];
    if (entry) return entry.link ? entry.resolved : path;
    if (folder === "") return undefined;
  }
}

function needsOf(path) {
  const { dependencies, optionalDependencies, peerDependencies } = packages[path];
  const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
  return names.map((name) => resolve(path, name)).filter((found) => found !== undefined);
}

function reachable() {
  const found = new Set([ROOT_PATH]);
  // A Set may grow while it is walked.
  for (const path of found) for (const needed of needsOf(path)) found.add(needed);
  return [...found].sort();
}

function refOf(path) {
  const name = nameOf(path, packages[path]).replace(/^@/, "%40");
  return `pkg:npm/${name}@${packages[path].version}`;
}

function licensesOf({ license }) {
  if (license === undefined) return {};
  return { licenses: [/^[A-Za-z0-9.+-]+$/.test(license) ? { license: { id: license } } : { expression: license }] };
}

function componentOf(path) {
  const entry = packages[path];
  const [algorithm, base64] = entry.integrity?.split("-", 2) ?? [];
  const hash = algorithm === "sha512" ? Buffer.from(base64, "base64").toString("hex") : undefined;
  return {
    type: path === ROOT_PATH ? "application" : "library",
    "bom-ref": refOf(path),
    name: nameOf(path, entry),
    version: entry.version,
    scope: entry.optional ? "optional" : "required",
    ...(hash === undefined ? {} : { hashes: [{ alg: "SHA-512", content: hash }] }),
    ...licensesOf(entry),
    purl: refOf(path),
  };
}

function mistakesOf(paths) {
  const listed = paths.filter((path) => !isWorkspace(path));
  const installed = productionPaths(packages);
  return [
    ...installed.filter((path) => !listed.includes(path)).map((path) => `${path} is installed and not listed`),
    ...listed.filter((path) => !installed.includes(path)).map((path) => `${path} is listed and not installed`),
    ...listed.filter((path) => !componentOf(path).hashes).map((path) => `${path} has no SHA-512`),
  ];
}

const paths = reachable();
const mistakes = mistakesOf(paths);
if (mistakes.length > 0) {
  console.error(mistakes.join("\n"));
  process.exitCode = 1;
} else {
  const bom = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: componentOf(ROOT_PATH) },
    components: paths.filter((path) => path !== ROOT_PATH).map(componentOf),
    dependencies: paths.map((path) => ({ ref: refOf(path), dependsOn: [...new Set(needsOf(path).map(refOf))].sort() })),
  };
  console.log(JSON.stringify(bom, null, 2));
}
