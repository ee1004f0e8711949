import { CanfleetError, messageOf, parseFilters, type Losses } from "@canfleet/sdk";
import { hostname } from "node:os";
import { Batcher } from "./batcher.ts";
import { startBridge, type RunningBridge } from "./bridge-runner.ts";
import type { CanInterface } from "./can-interface.ts";
import { EdgeClock } from "./clock/edge-clock.ts";
import { HubOffset } from "./clock/hub-offset.ts";
import { isSynchronised, readClocks, WallClock } from "./clock/wall-clock.ts";
import { checkEdgeConfig, type CheckedBridge, type CheckedBus, type CheckedConfig, type EdgeConfig } from "./config.ts";
import { BusControl } from "./control/bus-control.ts";
import { hostId } from "./host.ts";
import { Backfill } from "./ledger/backfill.ts";
import { BusLedger } from "./ledger/bus-ledger.ts";
import { HubLink } from "./ledger/hub-link.ts";
import { makeSpool } from "./ledger/make-spool.ts";
import type { BusSpool } from "./ledger/spool/bus-spool.ts";
import type { Spool } from "./ledger/spool/spool.ts";
import type { SendGuard } from "./local-bus.ts";
import { openCanInterface } from "./open-interface.ts";
import { RawLink } from "./raw-link.ts";
import { BusRelay } from "./relay.ts";
import { Refusals } from "./refusals.ts";
import { SendGate } from "./send-gate.ts";
import { SendSwitch } from "./send-switch.ts";
import { Uplink } from "./uplink.ts";
import { VERSION } from "./version.ts";
import type { EdgeLog } from "./log.ts";

const STATUS_INTERVAL_MS = 1000;
/** Work that should be done by now and was not for this long stands still, ms; a batch is open for a second at most. */
const STANDSTILL_MS = 10_000;
/** How often `info` is said again although nothing changed: brokers are seen to keep an older one, or none. */
const INFO_INTERVAL_MS = 30_000;
/** How long a hub gets to acknowledge the last batches of an edge that ends, ms. */
const SETTLE_MS = 500;

export interface EdgeEvents {
  /** What happens. Default: nothing. */
  log?: EdgeLog;
  /** Every bus that has an end (logs that are played once) has ended. */
  onEnd?: () => void;
  /** Makes the driver of a bus. Default: by the channel's kind, see `openCanInterface`. */
  openInterface?: (bus: CheckedBus) => CanInterface;
}

interface Bus {
  relay: BusRelay;
  batcher: Batcher | undefined;
  ledger: BusLedger | undefined;
  control: BusControl | undefined;
  spool: BusSpool | undefined;
  links: RawLink[];
  ended: boolean;
  /** Frames received at the status before. */
  receivedBefore: number;
  framesPerSecond: number;
}

/** The relay on a Pi: reads buses, ships them over raw links and to a hub, and sends what may be sent. */
export class Edge {
  readonly name: string;
  readonly #config: CheckedConfig;
  readonly #events: Required<EdgeEvents>;
  readonly #uplink: Uplink | undefined;
  readonly #hubLink = new HubLink();
  readonly #clock = new EdgeClock();
  readonly #hubOffset = new HubOffset(this.#clock.id);
  readonly #wallClock = new WallClock();
  readonly #backfill: Backfill | undefined;
  readonly #buses: Bus[] = [];
  readonly #bridges: RunningBridge[] = [];
  readonly #sendSwitch: SendSwitch | undefined;
  readonly #spool: Spool | undefined;
  #statusTimer: NodeJS.Timeout | undefined;
  #tickedMs = performance.now();
  /** Undefined until all buses are open: an `info` without them would be kept by the broker. */
  #infoDueAtMs: number | undefined;
  #closing: Promise<void> | undefined;

  private constructor(config: CheckedConfig, events: EdgeEvents) {
    this.name = config.name;
    this.#config = config;
    this.#events = { log: () => undefined, onEnd: () => undefined, openInterface: openCanInterface, ...events };
    this.#sendSwitch = this.#watchSwitch(config.sendOffFile);
    if (config.hub === undefined) return;
    const uplink = new Uplink({
      hubs: config.hub,
      returnAfterMs: config.hubReturnMinutes === undefined ? undefined : config.hubReturnMinutes * 60_000,
      login: config.login,
      tls: config.tls,
      base: config.base,
      edge: config.name,
      clock: this.#clock,
      log: this.#events.log,
      onPong: (pong) => this.#hubOffset.answered(pong, this.#clock.nowUs()),
      onConnect: () => {
        this.#publishAll();
        this.#backfill?.connected();
      },
      onDisconnect: () => {
        this.#hubOffset.clear();
        this.#backfill?.disconnected();
      },
      onDrain: () => this.#backfill?.pump(),
      onAck: (payload) => this.#backfill?.acknowledged(payload),
      onRequest: (bus, payload) => this.#onRequest(bus, payload),
    });
    this.#uplink = uplink;
    this.#backfill = new Backfill(this.#hubLink, uplink, config.ledger.backfillBytesPerSecond);
    this.#spool = makeSpool(config, this.#events.log, () => this.#backfill?.storeReady());
  }

  #watchSwitch(file: string | undefined): SendSwitch | undefined {
    if (file === undefined) return undefined;
    const tell = (isOff: boolean, reason: string): void =>
      this.#events.log(isOff ? `sending is switched off (${reason})` : `sending is switched on (no ${reason})`);
    const sendSwitch = new SendSwitch(file, (isOff, reason) => {
      tell(isOff, reason);
      this.#publishAll();
    });
    if (sendSwitch.isOff) tell(true, file);
    return sendSwitch;
  }

  get #isSendOff(): boolean {
    return this.#sendSwitch?.isOff ?? false;
  }

  /**
   * Opens every bus and begins to relay. Hubs and hosts may be away: they are dialled for ever.
   *
   * @throws CanfleetError `CONFIG_INVALID` with every mistake, `CAN_*` when a bus cannot be opened,
   *   `LINK_PORT_IN_USE` when a raw link cannot listen, `BRIDGE_RING`
   */
  static async start(config: EdgeConfig, events: EdgeEvents = {}): Promise<Edge> {
    const { checked, mistakes } = checkEdgeConfig(config);
    if (mistakes.length > 0) {
      const list = mistakes.map(({ path, text }) => `${path}: ${text}`).join("; ");
      throw new CanfleetError("CONFIG_INVALID", list);
    }
    const edge = new Edge(checked, events);
    try {
      for (const bus of checked.buses) await edge.#startBus(bus);
      for (const bridge of checked.bridges) edge.#bridges.push(await edge.#startBridge(bridge));
    } catch (error) {
      await edge.close();
      throw error;
    }
    edge.#infoDueAtMs = 0;
    edge.#spool?.start();
    edge.#statusTimer = setInterval(() => edge.#tick(), STATUS_INTERVAL_MS);
    edge.#publishAll();
    return edge;
  }

  #startBridge(bridge: CheckedBridge): Promise<RunningBridge> {
    const { hub, base, login, tls, bridgeLinks: link } = this.#config;
    const guard = (channel: string): SendGuard => this.#guardOf(channel, bridge);
    return startBridge(bridge, { hub, base, login, tls, link, guard }, this.#events.log);
  }

  /** What a bridge may put on an interface: as on a bus of this edge where it is one, else by its own rules. */
  #guardOf(channel: string, { a, b, send }: CheckedBridge): SendGuard {
    const by = `bridge ${a} – ${b}`;
    const own = this.#buses.find((_, i) => this.#config.buses[i]?.channel === channel)?.relay;
    if (own) return { gate: own.transmitter.gate, refusals: own.refusals, by };
    const gate = new SendGate(send, { isOff: () => this.#isSendOff });
    return { gate, refusals: new Refusals(channel, this.#events.log), by };
  }

  async #startBus(config: CheckedBus): Promise<void> {
    const bus: Bus = {
      relay: new BusRelay(this.#events.openInterface(config), config, {
        log: this.#events.log,
        onLink: () => this.#onBus(bus),
        onBusState: () => this.#onBus(bus),
        onController: () => this.#publishInfo(),
        onEnd: () => this.#onEnd(bus),
        isSendOff: () => this.#isSendOff,
      }),
      batcher: undefined,
      ledger: undefined,
      control: undefined,
      spool: undefined,
      links: [],
      ended: false,
      receivedBefore: 0,
      framesPerSecond: 0,
    };
    await bus.relay.open();
    this.#buses.push(bus);
    await this.#startLinks(bus, config);
    const uplink = this.#uplink;
    if (!uplink) return;
    bus.spool = this.#spool?.addBus(config.name, {
      dropped: (range, isNews) => bus.ledger?.dropped(range, isNews),
      droppedUnknown: () => bus.ledger?.droppedUnknown(),
    });
    const ledger = new BusLedger({
      store: bus.spool,
      epoch: bus.relay.epoch,
      historyBytes: this.#config.ledger.historyBytes,
      link: this.#hubLink,
      sendLive: (payload) => uplink.publishFrames(config.name, payload),
    });
    const batcher = new Batcher(this.#config.batch, ledger);
    bus.ledger = ledger;
    bus.batcher = batcher;
    this.#backfill?.addBus(config.name, ledger);
    batcher.setUrgent(parseFilters(this.#config.urgent));
    bus.control = this.#controlOf(bus, config, batcher);
    pausePeriodic(bus);
    bus.relay.addOutlet({ publish: (batch) => batcher.add(batch) });
    uplink.addBus(config.name, bus.relay);
  }

  #controlOf(bus: Bus, config: CheckedBus, batcher: Batcher): BusControl {
    const { relay } = bus;
    const { urgent } = this.#config;
    const control = new BusControl({
      can: relay.can,
      transmitter: relay.transmitter,
      gate: relay.transmitter.gate,
      control: config.control,
      configured: { filters: config.filterText, latestHz: config.latestHz ?? null, urgent },
      apply: {
        filters: (text) => relay.setLiveFilters(parseFilters(text)),
        latest: (hz) => relay.setLatest(hz),
        urgent: (ids) => batcher.setUrgent(parseFilters(`${urgent} ${ids}`)),
      },
      onChange: () => this.#publishStatus(bus),
    });
    relay.setObserver((batch) => control.observe(batch));
    return control;
  }

  #onBus(bus: Bus): void {
    pausePeriodic(bus);
    this.#publishStatus(bus);
  }

  #onRequest(name: string, payload: Uint8Array): void {
    this.#backfill?.requested(name, payload);
    const answer = this.#buses.find(({ relay }) => relay.name === name)?.control?.requested(payload);
    if (answer !== undefined) this.#uplink?.publishResponse(name, answer);
  }

  async #startLinks(bus: Bus, config: CheckedBus): Promise<void> {
    for (const link of config.links) {
      const { record = "auto", tls, token } = link;
      const onUnreadable = (by: string, detail: string): void => bus.relay.refusals.add(by, "unreadable", 1, detail);
      const common = { record, tls, token, onUnreadable, log: this.#events.log };
      const host = "listen" in link ? link.hostname : link.host;
      const rawLink = new RawLink(
        {
          role: "listen" in link ? "listen" : "dial",
          port: "listen" in link ? link.listen : link.port,
          ...(host === undefined ? {} : { host }),
          ...("listen" in link && link.allow ? { allow: link.allow } : {}),
          ...common,
        },
        bus.relay.transmitter,
      );
      await rawLink.start();
      bus.links.push(rawLink);
      bus.relay.addOutlet(rawLink);
    }
  }

  #onEnd(bus: Bus): void {
    bus.ended = true;
    bus.batcher?.flush();
    if (this.#buses.every(({ ended }) => ended)) this.#events.onEnd();
  }

  #publishAll(): void {
    this.#publishInfo();
    this.#publishStatuses();
  }

  #publishInfo(): void {
    if (this.#infoDueAtMs === undefined) return;
    this.#infoDueAtMs = performance.now() + INFO_INTERVAL_MS;
    this.#uplink?.publishInfo(this.#info());
  }

  #info(): object {
    const buses = this.#buses.map(({ relay }, i) => {
      const { driver, capabilities, channel } = relay.can;
      const { bitrate, dataBitrate } = relay.monitor.health();
      const restartMs = relay.monitor.controller?.restartMs ?? null;
      const send = this.#config.buses[i]?.send.text;
      return [relay.name, { driver, channel, bitrate, dataBitrate, restartMs, capabilities, send }];
    });
    return {
      version: VERSION,
      host: hostname(),
      hostId: hostId(),
      base: this.#config.base,
      buses: Object.fromEntries(buses) as object,
      sendOff: this.#isSendOff,
      clock: isSynchronised() ? "synchronised" : "unknown",
    };
  }

  #publishStatuses(): void {
    for (const bus of this.#buses) this.#publishStatus(bus);
  }

  #tick(): void {
    this.#tickedMs = performance.now();
    const stepUs = this.#wallClock.look();
    if (stepUs !== 0) this.#events.log(`the clock of this machine was set by ${signed(stepUs / 1e6)} s`);
    for (const bus of this.#buses) {
      bus.relay.monitor.tick();
      const { received } = bus.relay.counters;
      bus.framesPerSecond = Math.round(((received - bus.receivedBefore) * 1000) / STATUS_INTERVAL_MS);
      bus.receivedBefore = received;
    }
    this.#publishStatuses();
    if (performance.now() > (this.#infoDueAtMs ?? Infinity)) this.#publishInfo();
  }

  #publishStatus(bus: Bus): void {
    const { relay } = bus;
    const { received } = relay.counters;
    this.#uplink?.publishStatus(relay.name, {
      t: Date.now() * 1000,
      state: relay.link.state,
      reason: relay.link.reason,
      ...relay.monitor.health(),
      driver: relay.can.driver,
      epoch: relay.epoch,
      seq: relay.seq,
      framesPerSecond: bus.framesPerSecond,
      frames: { received, sent: relay.transmitter.counters.sent, refused: relay.transmitter.counters.refused },
      refusals: relay.refusals.counts,
      sendOff: this.#isSendOff,
      skipped: relay.skipped,
      filtered: relay.filtered,
      control: bus.control?.changes(),
      lost: this.#losses(bus),
      clock: this.#clockState(),
      spool: bus.spool?.status,
    });
  }

  #clockState(): object {
    const { wallMs, monotonicMs } = readClocks();
    const { steps, lastStepUs } = this.#wallClock;
    return { ...this.#hubOffset.at(wallMs * 1000, monotonicMs * 1000), steps, lastStepUs };
  }

  #losses(bus: Bus): Losses {
    const link = bus.links.reduce((sum, rawLink) => sum + rawLink.counters.dropped, 0);
    return { kernel: 0, ...bus.relay.lost, edge: 0, ...bus.ledger?.lost, link };
  }

  /** What each bus did so far, by its name in topics. */
  counters(): { [bus: string]: { received: number; sent: number; refused: number; lost: Losses } } {
    return Object.fromEntries(
      this.#buses.map((bus) => [
        bus.relay.name,
        { received: bus.relay.counters.received, ...bus.relay.transmitter.counters, lost: this.#losses(bus) },
      ]),
    );
  }

  /**
   * What of the edge's own work stands still; undefined when nothing does. A bus that is down and a hub that is away are no
   * fault of it.
   */
  standstill(): string | undefined {
    const nowMs = performance.now();
    if (nowMs - this.#tickedMs > STANDSTILL_MS) return "the status of its buses";
    const stuck = this.#buses.find(({ batcher }) => (batcher?.waitingMs(nowMs) ?? 0) > STANDSTILL_MS);
    return stuck && `frames of ${stuck.relay.name}`;
  }

  /** Ends capture, sends out what is pending, says goodbye to hosts and hub. Takes at most 2 s. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#statusTimer);
    this.#sendSwitch?.close();
    await Promise.all(this.#bridges.map((bridge) => bridge.stop()));
    for (const bus of this.#buses) {
      bus.control?.close();
      await bus.relay.close().catch((error: unknown) => this.#events.log(messageOf(error)));
      bus.batcher?.flush();
      this.#publishStatus(bus);
    }
    await Promise.all(this.#buses.flatMap(({ links }) => links.map((link) => link.close())));
    if (this.#spool) await this.#backfill?.settled(SETTLE_MS);
    // Without a hub, what it has not taken goes to the spool.
    this.#backfill?.close();
    for (const { spool, ledger } of this.#buses) if (spool && ledger?.isKept) spool.isComplete = true;
    await Promise.all([this.#spool?.close(), this.#uplink?.close()]);
  }
}

/** Periodic sends rest while the bus carries nothing, so that nothing bursts out when it does again. */
function pausePeriodic({ control, relay }: Bus): void {
  control?.periodic.setPaused(relay.link.state !== "up" || relay.monitor.state.state === "bus-off");
}

function signed(seconds: number): string {
  return `${seconds > 0 ? "+" : ""}${seconds.toFixed(3)}`;
}
