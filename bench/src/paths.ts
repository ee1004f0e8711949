import { fileURLToPath } from "node:url";

/** The folder bench/. */
export const BENCH_FOLDER = fileURLToPath(new URL("..", import.meta.url));
/** The project's folder. */
export const ROOT_FOLDER = fileURLToPath(new URL("../..", import.meta.url));

/** A compiled program of this folder, by its name in src/programs. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`programs/${name}.js`, import.meta.url));
}
