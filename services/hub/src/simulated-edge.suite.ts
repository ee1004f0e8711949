/** A scripted edge for the page's tests: real MQTT, made-up frames. */
import type { TestContext } from "node:test";
import { encodeBatch, FrameBatch, HubConnection, type FrameParts } from "@canfleet/sdk";

/** An edge that says what it is told to say. */
export class SimulatedEdge {
  readonly #connection: HubConnection;
  readonly #name: string;
  readonly #seq = new Map<string, number>();
  readonly #epoch = Date.now() * 1000;

  private constructor(connection: HubConnection, name: string) {
    this.#connection = connection;
    this.#name = name;
  }

  static async connect(t: Pick<TestContext, "after">, url: string, name: string): Promise<SimulatedEdge> {
    const connection = new HubConnection(url);
    t.after(() => connection.close());
    await connection.ready();
    return new SimulatedEdge(connection, name);
  }

  async state(state: "online" | "offline"): Promise<void> {
    await this.#retain("state", { state, session: this.#epoch, t: this.#epoch });
  }

  async info(buses: object): Promise<void> {
    await this.#retain("info", { version: "0.1.0", host: "garage", buses });
  }

  async status(bus: string, status: object): Promise<void> {
    await this.#retain(`${bus}/status`, status);
  }

  async #retain(topic: string, value: object): Promise<void> {
    await this.#connection.publishConfirmed(`canfleet/${this.#name}/${topic}`, JSON.stringify(value), true);
  }

  frames(bus: string, frames: FrameParts[]): void {
    const batch = FrameBatch.of(...frames);
    batch.epoch = this.#epoch;
    batch.seq = this.#seq.get(bus) ?? 0;
    this.#seq.set(bus, batch.seq + batch.count);
    this.#connection.publish(`canfleet/${this.#name}/${bus}/frames`, encodeBatch(batch));
  }
}
