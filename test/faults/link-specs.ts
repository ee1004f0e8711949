import type { LinkSpec } from "./link-process.ts";
import type { Network } from "./network.ts";

/** Which end of a link makes frames. */
export type Busy = "neither" | "edge" | "host" | "both";

/** Both ends of links of every form, dialled by either end: edges at the far end of the network, hosts at the near one. */
export function linkSpecs(network: Network, busyEnds: readonly Busy[]): [edges: LinkSpec[], hosts: LinkSpec[]] {
  const edges: LinkSpec[] = [];
  const hosts: LinkSpec[] = [];
  let port = 5000;
  for (const record of ["auto", 21, 29, 13] as const)
    for (const dialler of ["edge", "host"] as const)
      for (const busy of busyEnds) {
        const common = { id: `${record}, ${dialler} dials, ${busy} sends`, port: port++, record };
        const roleOf = (end: "edge" | "host") => (end === dialler ? ("dial" as const) : ("listen" as const));
        const end = (name: "edge" | "host") => ({
          end: name,
          role: roleOf(name),
          isBusy: busy === name || busy === "both",
        });
        edges.push({ ...common, ...end("edge"), host: network.nearAddress });
        hosts.push({ ...common, ...end("host"), host: network.farAddress });
      }
  return [edges, hosts];
}
