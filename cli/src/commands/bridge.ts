import { startBridge, type BridgeCounters, type BusSpec } from "@canfleet/edge";
import { parseFilters } from "@canfleet/sdk";
import { readBus } from "../bus-spec.ts";
import { clientHub, clientLink } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { isEncryptedLink } from "../open-bus.ts";
import { assertOneBus, assertTakesFrames } from "../sendable.ts";
import { serve, type Service } from "../service.ts";
import type { BRIDGE } from "../table/run.ts";
import { UsageError } from "../usage-error.ts";

type BridgeOptions = Arguments<typeof BRIDGE>["options"];

/** How often refused frames are told, ms. */
const REFUSED_REPORT_MS = 10_000;

/** `canfleet bridge` */
export async function runBridge({ options, positionals }: Arguments<typeof BRIDGE>, context: Context): Promise<number> {
  const [a = "", b = ""] = positionals;
  const specs = [readBus(a), readBus(b)] as const;
  for (const spec of specs) assertOneBus(spec);
  if (specs[0].globalName === specs[1].globalName) throw new UsageError(`${a} cannot be bridged with itself`);
  assertFilters(options.filter);
  return serve(() => start(specs, options, context), context);
}

function assertFilters(text: string | undefined): void {
  try {
    parseFilters(text ?? "");
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

async function start(specs: readonly [BusSpec, BusSpec], options: BridgeOptions, context: Context): Promise<Service> {
  const [a, b] = specs;
  const { terminal } = context;
  const hub = await clientHub(options, context, specs.some(isEncryptedLink));
  const link = await clientLink(options, specs.some(isEncryptedLink) ? { tls: true } : {}, context);
  const oneWay = options["one-way"];
  for (const spec of oneWay ? [b] : specs) await assertTakesFrames(spec, hub);
  // Two buses of this machine need no hub; one that was named looks for rings all the same.
  const usesHub = options.hub.length > 0 || specs.some(({ place }) => place.kind === "hub");
  const config = { a: a.text, b: b.text, oneWay, ...(options.filter === undefined ? {} : { filters: options.filter }) };
  const bridge = await startBridge(config, { ...hub, link, hub: usesHub ? hub.urls : undefined }, (text) =>
    terminal.say(text),
  );
  terminal.say("Ctrl-C ends");
  const reports = reportRefusals(bridge.counters, context);
  const close = async (): Promise<void> => {
    clearInterval(reports);
    await bridge.stop();
    terminal.say(summary(a, b, bridge.counters));
  };
  return { ended: bridge.ended, close };
}

function reportRefusals(counters: BridgeCounters, { terminal }: Context): NodeJS.Timeout {
  let told = 0;
  return setInterval(() => {
    const refused = counters.refused.aToB + counters.refused.bToA;
    if (refused > told) terminal.say(`${refused - told} frames could not be handed on`);
    told = refused;
  }, REFUSED_REPORT_MS);
}

function summary(a: BusSpec, b: BusSpec, { forwarded, refused }: BridgeCounters): string {
  const lost = refused.aToB + refused.bToA;
  const ways = `${forwarded.aToB} frames to ${b.text}, ${forwarded.bToA} to ${a.text}`;
  return lost === 0 ? ways : `${ways}, ${lost} refused`;
}
