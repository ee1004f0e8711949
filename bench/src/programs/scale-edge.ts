/** An edge that costs its machine little, so that a thousand fit: real topics, batches, states, pings and ledger. */
import {
  busTopic,
  decodeAck,
  edgeTopic,
  encodeClockMessage,
  HubConnection,
  RangeSet,
  type ClockPing,
} from "@canfleet/sdk";
import { fill, FIRST_SEQ, nowUs, type Pace, type Template } from "./scale-traffic.ts";

const BASE = "canfleet";
const STATUS_MS = 1_000;
const PING_MS = 500;

interface Bus {
  name: string;
  seq: number;
  acknowledged: RangeSet;
}

/** Counts of one edge, since its start. */
export interface EdgeCounts {
  frames: number;
  messages: number;
  /** Frames that were not handed to the socket because too much waited there; a real edge would keep them. */
  held: number;
}

export class LightEdge implements EdgeCounts {
  frames = 0;
  messages = 0;
  held = 0;
  readonly #name: string;
  readonly #hub: HubConnection;
  readonly #buses: Bus[];
  readonly #epoch: number;
  readonly #timers: NodeJS.Timeout[] = [];
  #turn = 0;

  constructor(url: string, name: string, buses: readonly string[], epoch: number) {
    this.#name = name;
    this.#epoch = epoch;
    this.#buses = buses.map((bus) => ({ name: bus, seq: FIRST_SEQ, acknowledged: new RangeSet() }));
    const will = { topic: edgeTopic(BASE, name, "state"), payload: '{"state":"offline"}', retain: true };
    this.#hub = new HubConnection(url, {
      clientId: `canfleet-edge-${name}`,
      will: () => will,
      onMessage: (topic, payload) => this.#onMessage(topic, payload),
    });
  }

  /** Connects and says what every edge says. */
  async connect(): Promise<void> {
    await this.#hub.ready(120_000);
    const own = (["ack", "ping", "pong"] as const).map((leaf) => edgeTopic(BASE, this.#name, leaf));
    const asked = this.#buses.flatMap(({ name }) =>
      (["send", "request"] as const).map((leaf) => busTopic(BASE, this.#name, name, leaf)),
    );
    await this.#hub.subscribe([...asked, edgeTopic(BASE, this.#name, "state")], 1);
    await this.#hub.subscribe(own, 0);
    this.#say(edgeTopic(BASE, this.#name, "state"), JSON.stringify({ state: "online", session: nowUs() }));
    this.#say(edgeTopic(BASE, this.#name, "info"), JSON.stringify({ version: "0.1.0", host: this.#name, buses: {} }));
  }

  #say(topic: string, text: string): void {
    if (this.#hub.publish(topic, text, { qos: 1, retain: true })) this.messages++;
  }

  /** Begins its traffic after this pause: edges know nothing of each other. */
  start(pauseMs: number, pace: Pace, templates: readonly Template[]): void {
    this.#every(pace.batchMs, pauseMs % pace.batchMs, () => {
      for (const bus of this.#buses) this.#publishBatch(bus, templates[this.#turn++ % templates.length]!);
    });
    this.#every(STATUS_MS, pauseMs % STATUS_MS, () => {
      for (const bus of this.#buses) this.#publishStatus(bus);
    });
    this.#every(PING_MS, pauseMs % PING_MS, () => {
      const ping: ClockPing = { clock: 1, at: Math.round(performance.now() * 1000) };
      if (this.#hub.publish(edgeTopic(BASE, this.#name, "ping"), encodeClockMessage(ping))) this.messages++;
    });
  }

  #every(periodMs: number, pauseMs: number, run: () => void): void {
    this.#timers.push(setTimeout(() => this.#timers.push(setInterval(run, periodMs)), pauseMs));
  }

  #publishBatch(bus: Bus, template: Template): void {
    const topic = busTopic(BASE, this.#name, bus.name, "frames");
    if (!this.#hub.publish(topic, fill(template, bus.seq, nowUs()))) {
      this.held += template.frames;
      return;
    }
    bus.seq += template.frames;
    this.frames += template.frames;
    this.messages++;
  }

  #publishStatus({ name, seq }: Bus): void {
    const received = seq - FIRST_SEQ;
    const status = { state: "up", driver: "native", bitrate: 500_000, busState: "error-active", loadPercent: 5 };
    const counters = { frames: { received, sent: 0 }, lost: { kernel: 0 }, epoch: this.#epoch, seq, t: nowUs() };
    this.#say(busTopic(BASE, this.#name, name, "status"), JSON.stringify({ ...status, ...counters }));
  }

  #onMessage(topic: string, payload: Uint8Array): void {
    if (!topic.endsWith("/ack")) return;
    for (const [name, taken] of decodeAck(payload)) {
      const bus = this.#buses.find((each) => each.name === name);
      for (const { ranges } of taken) for (const [from, to] of ranges) bus?.acknowledged.add(from, to);
    }
  }

  /** Frames that the hub has not acknowledged. */
  get unacknowledged(): number {
    return this.#buses.reduce((sum, { seq, acknowledged }) => {
      const taken = acknowledged.within(FIRST_SEQ, seq).reduce((frames, [from, to]) => frames + to - from, 0);
      return sum + seq - FIRST_SEQ - taken;
    }, 0);
  }

  /** Ends the traffic; the connection stays. */
  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
