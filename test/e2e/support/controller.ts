import assert from "node:assert/strict";
import { decodeBatch, decodeControlResponse, formatFrame, HubConnection } from "@canfleet/sdk";
import type { BusSettings, ControlResponse } from "@canfleet/sdk";
import { PATIENCE_MS, until } from "./until.ts";

/** Somebody who controls one bus of an edge by plain JSON, and sees what the bus carries. */
export class Controller {
  readonly #hub: HubConnection;
  readonly #topic: string;
  readonly #answers = new Map<string, ControlResponse>();
  readonly #seen = new Set<string>();
  /** Bus times of frames, µs, by their text. */
  readonly times: { text: string; timestampUs: number; flags: number }[] = [];
  #requests = 0;

  private constructor(url: string, edge: string, bus: string) {
    this.#topic = `canfleet/${edge}/${bus}`;
    this.#hub = new HubConnection(url, { onMessage: (topic, payload) => this.#onMessage(topic, payload) });
  }

  static async connect(url: string, edge: string, bus: string): Promise<Controller> {
    const controller = new Controller(url, edge, bus);
    await controller.#hub.ready(PATIENCE_MS);
    await controller.#hub.subscribe([`${controller.#topic}/response`, `${controller.#topic}/frames`], 0);
    return controller;
  }

  #onMessage(topic: string, payload: Uint8Array): void {
    if (topic.endsWith("/response")) {
      const response = decodeControlResponse(payload);
      if (response) this.#answers.set(response.id, response);
      return;
    }
    const batch = decodeBatch(payload);
    for (let i = 0; i < batch.count; i++) {
      const text = formatFrame(batch, i);
      this.#seen.add(text);
      this.times.push({ text, timestampUs: batch.timestampUs[i]!, flags: batch.flags[i]! });
    }
  }

  /** Asks once; the answer comes, whatever it is. */
  async ask(request: object): Promise<ControlResponse> {
    const id = `test-${this.#requests++}`;
    assert.ok(this.#hub.publish(`${this.#topic}/request`, JSON.stringify({ id, ...request })));
    return until(`the answer to ${JSON.stringify(request)}`, () => this.#answers.get(id));
  }

  async ok(request: object): Promise<BusSettings> {
    const answer = await this.ask(request);
    assert.ok(answer.ok, JSON.stringify(answer));
    return answer.settings;
  }

  async code(request: object): Promise<string> {
    const answer = await this.ask(request);
    assert.ok(!answer.ok, JSON.stringify(answer));
    return answer.code;
  }

  seen(text: string): Promise<unknown> {
    return until(`${text} on the bus`, () => this.#seen.has(text));
  }

  close(): Promise<void> {
    return this.#hub.close();
  }
}
