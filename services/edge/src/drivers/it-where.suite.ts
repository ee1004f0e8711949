import { it } from "node:test";

/**
 * `it` where the bus can do what is tested. Elsewhere the test does not exist, rather than being skipped: a skipped test
 * is one that this machine could not run.
 */
export function itWhere(possible: boolean): (name: string, run: () => Promise<void>) => void {
  return (name, run) => {
    if (possible) void it(name, run);
  };
}
