/** A bridge as it announces itself (docs/wire-mqtt.md 3.4). */
export interface BridgeAnnouncement {
  /** Names of the two buses: `edge/bus`, `host:NAME/can0`, `tcp:…`. */
  a: string;
  b: string;
  oneWay: boolean;
}

/**
 * The ring that a new bridge would close, as the buses in it, first and last the same; undefined if none.
 *
 * A ring is a way for a frame to come back to the bus it left without turning around inside one bridge. Two bridges
 * between the same two buses are a ring, too.
 */
export function findRing(existing: readonly BridgeAnnouncement[], added: BridgeAnnouncement): string[] | undefined {
  if (added.a === added.b) return [added.a, added.b];
  const ways = waysOf(existing);
  const back = findPath(ways, added.b, added.a);
  if (back) return [added.a, ...back];
  if (added.oneWay) return undefined;
  const forth = findPath(ways, added.a, added.b);
  return forth ? [added.b, ...forth] : undefined;
}

function waysOf(bridges: readonly BridgeAnnouncement[]): Map<string, Set<string>> {
  const ways = new Map<string, Set<string>>();
  const add = (from: string, to: string): void => {
    ways.set(from, (ways.get(from) ?? new Set()).add(to));
  };
  for (const { a, b, oneWay } of bridges) {
    add(a, b);
    if (!oneWay) add(b, a);
  }
  return ways;
}

/** Shortest way, both ends included. */
function findPath(ways: ReadonlyMap<string, ReadonlySet<string>>, from: string, to: string): string[] | undefined {
  const cameFrom = new Map<string, string | undefined>([[from, undefined]]);
  const open = [from];
  for (let at = open.shift(); at !== undefined; at = open.shift()) {
    if (at === to) return walkBack(cameFrom, to);
    for (const next of ways.get(at) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      open.push(next);
    }
  }
  return undefined;
}

function walkBack(cameFrom: ReadonlyMap<string, string | undefined>, to: string): string[] {
  const path: string[] = [];
  for (let at: string | undefined = to; at !== undefined; at = cameFrom.get(at)) path.unshift(at);
  return path;
}
