/** What the scripts here know of package-lock.json. */
import { readFileSync } from "node:fs";

/**
 * The packages of a lockfile, by where they are installed.
 *
 * @param {string | URL} [file] default: this repository's
 */
export function readLockfile(file = new URL("../package-lock.json", import.meta.url)) {
  return JSON.parse(readFileSync(file, "utf8")).packages;
}

/** Whether a path is a part of this repository, not something from a registry. */
export function isWorkspace(path) {
  return !path.includes("node_modules/");
}

/** Paths of the packages from a registry that come with an install without `devDependencies`, optional ones included. */
export function productionPaths(packages) {
  return Object.keys(packages).filter((path) => {
    // `devOptional` is for development, and optional without it.
    const { dev, link } = packages[path];
    return !isWorkspace(path) && !dev && !link;
  });
}

export function nameOf(path, entry) {
  return entry.name ?? path.split("node_modules/").at(-1);
}
