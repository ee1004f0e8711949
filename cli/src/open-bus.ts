import { openBus, type BusSpec } from "@canfleet/edge";
import { CanfleetError, DEFAULT_BASE, type Bus } from "@canfleet/sdk";
import { clientHub, clientLink, type LinkFlags } from "./client-settings.ts";
import type { Context } from "./context.ts";
import { Interrupted } from "./interruption.ts";

/** A bus that a command uses until it shuts it down. */
export interface OpenedBus {
  /** As the user wrote it. */
  readonly name: string;
  readonly bus: Bus;
  /** Resolves when the bus has come to an end by itself, as a log that is played once; most never do. */
  readonly ended: Promise<void>;
  /** Whether the command itself is closing the bus: what is lost then is no news. */
  closing?: boolean;
}

export interface OpenOptions {
  /** Where the hub of `edge/bus` names is, and what raw links are secured with; looked up only when there is one. */
  flags: LinkFlags;
  /** Whether a raw link must have its peer before the command goes on: it has something to send. */
  connected: boolean;
  /** In what order frames come through the hub, as `MqttBus` takes it. Default "live". */
  order?: "live" | "complete";
}

/** Longest wait for an edge that is dialled to be sent to, ms. One that dials us may come at any time. */
const DIAL_TIMEOUT_MS = 5_000;

/**
 * Opens buses, all or none.
 *
 * @throws CanfleetError with the reason why one could not be opened
 * @throws Interrupted when the command is to end before
 */
export async function openBuses(
  specs: readonly BusSpec[],
  options: OpenOptions,
  context: Context,
): Promise<OpenedBus[]> {
  const opened: OpenedBus[] = [];
  const isEncrypted = specs.some(isEncryptedLink);
  try {
    for (const spec of specs) {
      const bus = await unlessStopped(openOne(spec, { ...options, isEncrypted }, context), context.interruption.signal);
      if (!bus) throw new Interrupted();
      opened.push(bus);
    }
  } catch (error) {
    await shutDownAll(opened);
    throw error;
  }
  return opened;
}

/** Whether a bus is a raw link inside TLS. */
export function isEncryptedLink({ place }: BusSpec): boolean {
  return (place.kind === "listen" || place.kind === "dial") && place.tls === true;
}

/** Shuts all buses down; one that fails to does not keep the others open. */
export async function shutDownAll(buses: readonly OpenedBus[]): Promise<void> {
  await Promise.allSettled(
    buses.map((opened) => {
      opened.closing = true;
      return opened.bus.shutdown();
    }),
  );
}

/** undefined when the signal came first; what was being opened is left to the end of the process. */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  return Promise.race([work, stopped]);
}

async function openOne(
  spec: BusSpec,
  options: OpenOptions & { isEncrypted: boolean },
  context: Context,
): Promise<OpenedBus> {
  const { text: name, place } = spec;
  const { terminal } = context;
  const hub = place.kind === "hub" ? await clientHub(options.flags, context, options.isEncrypted) : undefined;
  const isLink = place.kind === "listen" || place.kind === "dial";
  const link = isLink ? await clientLink(options.flags, place, context) : undefined;
  const prefix = isLink && place.tls ? "tls:" : "";
  if (place.kind === "listen") terminal.say(`waiting for an edge: canfleet edge can0 ${prefix}THIS-HOST ${place.port}`);
  let onEnd = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    onEnd = resolve;
  });
  const opening = openBus(spec, {
    hub: hub?.urls,
    tls: hub?.tls,
    link,
    base: hub?.base ?? DEFAULT_BASE,
    ...(hub && { login: hub.login }),
    log: (text) => terminal.say(text),
    ...(options.order && { order: options.order }),
    onEnd: () => onEnd(),
    waitForEdge: options.connected,
  });
  const bus = place.kind === "dial" && options.connected ? await answered(opening, name) : await opening;
  const opened: OpenedBus = { name, bus, ended };
  watch(opened, context);
  return opened;
}

/** @throws CanfleetError `LINK_UNREACHABLE` when the edge does not answer in time */
async function answered(opening: Promise<Bus>, name: string): Promise<Bus> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CanfleetError("LINK_UNREACHABLE", `${name}: no edge answers`, { retryable: true })),
      DIAL_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([opening, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Says on stderr when a bus is lost and when it is back. */
function watch(opened: OpenedBus, { terminal }: Context): void {
  const { bus, name } = opened;
  let lost = false;
  bus.on("disconnect", (reason) => {
    if (opened.closing) return;
    lost = true;
    terminal.say(`${name}: lost (${reason}); trying again`);
  });
  bus.on("connect", () => {
    if (lost) terminal.say(`${name}: back`);
    lost = false;
  });
}
