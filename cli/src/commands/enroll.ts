import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import type { ENROLL } from "../table/access.ts";
import { UsageError } from "../usage-error.ts";

/** `canfleet enroll`: with a name on the hub, without one where the edge runs. */
export async function runEnroll(args: Arguments<typeof ENROLL>, context: Context): Promise<number> {
  const { options, positionals } = args;
  const [name] = positionals;
  const forEdge = (["hub", "token", "token-file"] as const).find((flag) => options[flag] !== undefined);
  const forHub = options.data !== undefined || options.config !== undefined || options.url.length > 0;
  if (name !== undefined && forEdge !== undefined)
    throw new UsageError(`--${forEdge} is for the machine of the edge, where no NAME is given`, "enroll");
  if (name === undefined && forHub)
    throw new UsageError("--data, --config and --url are for the hub: which NAME is the edge to have?", "enroll");
  if (name === undefined) return (await import("../enroll-edge.ts")).runEnrollEdge(args, context);
  return (await import("../enroll-hub.ts")).runEnrollHub(name, args, context);
}
