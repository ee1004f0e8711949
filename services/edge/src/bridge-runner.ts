import {
  messageOf,
  parseFilters,
  type HubLogin,
  type HubTlsSource,
  type HubUrls,
  type LinkSecurity,
} from "@canfleet/sdk";
import { BridgeRegistry } from "./bridge-registry.ts";
import { Bridge, type BridgeCounters } from "./bridge.ts";
import type { BridgeConfig } from "./config.ts";
import type { SendGuard } from "./local-bus.ts";
import { openBus, parseBusSpec } from "./open-bus.ts";

export interface RunningBridge {
  readonly counters: BridgeCounters;
  /** Resolves when one of the buses has ended by itself (a log that was played). */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Opens both buses, makes sure that no ring is closed, and joins them.
 *
 * @param where the hub for buses behind one; without it, rings are not looked for; `tls` to reach it; `link`
 * for raw links; `guard`: who decides what may be sent on a bus of this machine
 * @throws CanfleetError `BRIDGE_RING`, `CAN_*`, `HUB_*`, `TEXT_BAD_FRAME` for a bus that cannot be read
 */
export async function startBridge(
  config: Omit<BridgeConfig, "send">,
  where: {
    hub: HubUrls | undefined;
    base: string;
    login?: HubLogin;
    tls?: HubTlsSource | undefined;
    link?: LinkSecurity | undefined;
    guard?: ((channel: string) => SendGuard) | undefined;
  },
  log: (text: string) => void,
): Promise<RunningBridge> {
  const specs = [parseBusSpec(config.a), parseBusSpec(config.b)] as const;
  const filters = parseFilters(config.filters ?? "");
  const announced = { a: specs[0].globalName, b: specs[1].globalName, oneWay: config.oneWay ?? false };
  const registry =
    where.hub === undefined ? undefined : new BridgeRegistry(where.hub, where.base, where.login, where.tls);
  await registry?.join(announced);
  let ended: () => void = () => undefined;
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const a = await openBus(specs[0], { ...where, log, onEnd: () => ended() });
  const b = await openBus(specs[1], { ...where, log, onEnd: () => ended() });
  const bridge = new Bridge(a, b, { oneWay: announced.oneWay, filters });
  log(`bridge ${config.a} ${announced.oneWay ? "→" : "↔"} ${config.b}`);
  return {
    counters: bridge.counters,
    ended: end,
    stop: async () => {
      bridge.stop();
      const results = await Promise.allSettled([a.shutdown(), b.shutdown(), registry?.leave()]);
      for (const result of results) if (result.status === "rejected") log(messageOf(result.reason));
    },
  };
}
