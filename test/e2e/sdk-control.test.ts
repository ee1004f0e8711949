import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ControlError, decodeSendRequest, formatFrame, HubConnection, isCanfleetError } from "@canfleet/sdk";
import { Message, MqttBus, type KeptTask, type MqttBusOptions } from "@canfleet/sdk";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Controller } from "./support/controller.ts";
import { Fleet } from "./support/fleet.ts";
import { Program } from "./support/program.ts";
import { PATIENCE_MS, until } from "./support/until.ts";

const APP = fileURLToPath(new URL("support/control-app.js", import.meta.url));

let hub: Hub;
let edge: Program;
let fleet: Fleet;
let bus: MqttBus | undefined;
let errors: Error[];

const message = (arbitrationId: number, ...data: number[]): Message => new Message({ arbitrationId, data });

function startEdge(): Program {
  return canfleet("edge", "sim:car", "--hub", hub.url, "--name", "pi", "--send", "123,124");
}

async function open(options: Partial<MqttBusOptions> = {}): Promise<MqttBus> {
  const patience = { connectTimeoutMs: PATIENCE_MS, controlTimeoutMs: PATIENCE_MS };
  const opened = await MqttBus.connect(hub.url, { edge: "pi", bus: "car", ...patience, ...options });
  errors = [];
  opened.on("error", (error) => errors.push(error));
  bus = opened;
  return opened;
}

/** The bus as somebody else sees it. */
async function asking<T>(ask: (controller: Controller) => Promise<T>): Promise<T> {
  const controller = await Controller.connect(hub.url, "pi", "car");
  try {
    return await ask(controller);
  } finally {
    await controller.close();
  }
}

function tasksWhen(what: string, wanted: (tasks: KeptTask[]) => boolean): Promise<KeptTask[]> {
  return asking((controller) =>
    until(what, async () => {
      const { tasks } = await controller.ok({ op: "get" });
      return wanted(tasks) && tasks;
    }),
  );
}

before(async () => {
  hub = await startHub();
  fleet = await Fleet.connect(hub.url);
  edge = startEdge();
  await fleet.ready("pi", "car");
});
afterEach(() => bus?.shutdown());
after(async () => {
  await fleet.close();
  await Program.killAll();
});

describe("a periodic send of MqttBus", () => {
  it("is kept by the edge, with changed data, until it is stopped", async () => {
    const task = (await open()).sendPeriodic(message(0x123, 1), 20);
    await until("the edge keeps it", () => task.keptBy === "edge");
    await tasksWhen("some sends", ([kept]) => kept?.frame === "123#01" && kept.sent > 3);
    for (let i = 2; i < 10; i++) task.modify(message(0x123, i));
    assert.throws(() => task.modify(message(0x124)), RangeError);
    await tasksWhen("the newest data", ([kept]) => kept?.frame === "123#09");
    task.stop();
    assert.equal(task.keptBy, undefined);
    await tasksWhen("no task", (tasks) => tasks.length === 0);
    assert.deepEqual(errors, []);
  });

  it("ends with the edge's reason where the frame may not be sent", async () => {
    const task = (await open()).sendPeriodic(message(0x125), 20);
    const error = await until("the refusal", () => errors[0]);
    assert.ok(error instanceof ControlError && error.controlCode === "denied", String(error));
    assert.equal(task.keptBy, undefined);
  });

  it("ends when another stops it, and says so", async () => {
    const task = (await open({ periodicLeaseMs: 3000 })).sendPeriodic(message(0x123), 20);
    await asking((controller) =>
      until("the loss", async () => {
        for (const kept of (await controller.ok({ op: "get" })).tasks)
          await controller.ask({ op: "stop", task: kept.task });
        return errors.length > 0;
      }),
    );
    assert.ok(isCanfleetError(errors[0], "CONTROL_LOST"), String(errors[0]));
    assert.equal(task.keptBy, undefined);
  });

  it("ends, as settings do, when the program that began it is killed, and not before", async () => {
    const app = Program.start(process.execPath, [APP, hub.url]);
    await app.line(/ready/);
    const more = (limit: number) => tasksWhen("sends", ([kept]) => kept !== undefined && kept.sent > limit);
    await more(150); // Three seconds of a lease of one.
    await app.stop("SIGKILL");
    await tasksWhen("no task", (tasks) => tasks.length === 0);
    await asking((controller) =>
      until("no setting", async () => (await controller.ok({ op: "get" })).latest.by === null),
    );
  });

  it("outlives the edge and the hub", async () => {
    const task = (await open({ periodicLeaseMs: 1000 })).sendPeriodic(message(0x124, 4), 20);
    await until("the edge keeps it", () => task.keptBy === "edge");
    await edge.stop("SIGKILL");
    fleet.forget();
    edge = startEdge();
    await fleet.ready("pi", "car");
    const isThere = ([kept]: KeptTask[]): boolean => kept?.frame === "124#04";
    await tasksWhen("the task at the new edge", isThere);

    await hub.program.stop();
    await until("the outage", () => !bus!.isConnected);
    await sleep(1500); // The lease ends meanwhile.
    fleet.forget();
    hub = await startHub(hub.port);
    await fleet.ready("pi", "car");
    await tasksWhen("the task after the outage", isThere);
    assert.equal(task.keptBy, "edge");
    assert.deepEqual(errors, []);
  });
});

describe("a periodic send that no edge keeps", () => {
  for (const code of ["off", undefined]) {
    it(
      code ? `is the program's own where the edge answers "${code}"` : "is the program's own without an answer",
      async () => {
        const sent: string[] = [];
        const topic = "canfleet/old/can0";
        const old = new HubConnection(hub.url, {
          onMessage: (name, payload) => {
            if (name === `${topic}/send`) sent.push(formatFrame(decodeSendRequest(payload).frames, 0));
            else if (code) {
              const { id, op } = JSON.parse(new TextDecoder().decode(payload)) as { id: string; op: string };
              old.publish(`${topic}/response`, JSON.stringify({ id, op, ok: false, code, error: "no" }));
            }
          },
        });
        await old.ready(PATIENCE_MS);
        await old.subscribe([`${topic}/send`, `${topic}/request`], 0);
        const controlTimeoutMs = code ? PATIENCE_MS : 200;
        const task = (await open({ edge: "old", bus: "can0", controlTimeoutMs })).sendPeriodic(message(1, 1), 20);
        await until("sends of the program", () => task.keptBy === "app" && sent.includes("001#01"));
        task.modify(message(1, 2));
        await until("other data", () => sent.filter((text) => text === "001#02").length > 2);
        task.stop();
        assert.equal(task.keptBy, undefined);
        await old.close();
      },
    );
  }
});

describe("the settings of MqttBus", () => {
  it("are set and told, and given back at the end", async () => {
    const { control } = await open();
    await control.setFilters("7F0:7FF", { leaseMs: 1000 });
    await control.setLatest(5);
    const set = await control.setUrgent("123");
    assert.deepEqual([set.filters.value, set.latest.value, set.urgent.value], ["7F0:7FF", 5, "123"]);
    assert.equal((await control.setUrgent("")).urgent.by, null);
    await sleep(3000); // Three leases.
    await until("the filters", async () => (await control.get()).filters.value === "7F0:7FF");
    await bus!.shutdown();
    await asking((controller) =>
      until("nothing held", async () => {
        const { filters, latest } = await controller.ok({ op: "get" });
        return filters.by === null && latest.by === null;
      }),
    );
    assert.deepEqual(errors, []);
  });

  it("tell when another takes them, and when the edge refuses", async () => {
    const { control } = await open();
    await assert.rejects(control.setFilters("123", { stay: true }), (error) => {
      return error instanceof ControlError && error.code === "CONTROL_REFUSED" && error.controlCode === "off";
    });
    await assert.rejects(control.setLatest(0), RangeError);
    await control.setLatest(5, { leaseMs: 1000 });
    await asking(async (controller) => {
      await controller.ok({ op: "latest", hz: 6, by: "other", leaseMs: 600_000 });
      const error = await until("the loss", () => errors[0]);
      assert.ok(isCanfleetError(error, "CONTROL_LOST"), String(error));
      await controller.ok({ op: "release", by: "other" });
    });
  });

  it("are of one bus", async () => {
    const all = await open({ edge: "+" });
    assert.throws(() => all.control, RangeError);
    assert.throws(() => all.sendPeriodic(message(1), 20), RangeError);
  });
});
