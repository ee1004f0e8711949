import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { ConnectionGate } from "./connection-gate.ts";
import { until } from "./harness.suite.ts";
import { DEFAULT_LIMITS, type HubLimits } from "./limits.ts";

interface Door {
  gate: ConnectionGate;
  /** The server's ends that were let in, in this order. */
  entered: Socket[];
  lines: string[];
  /** Connects from an address of this machine, and waits until the gate has looked at it. */
  knock: (address: string) => Promise<Socket>;
}

async function openDoor(t: TestContext, limits: Partial<HubLimits>): Promise<Door> {
  const lines: string[] = [];
  const gate = new ConnectionGate({ ...DEFAULT_LIMITS, sharedAddresses: [], ...limits }, (_level, line) =>
    lines.push(line),
  );
  const entered: Socket[] = [];
  let seen = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (gate.enter(socket)) entered.push(socket);
    seen++;
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  t.after(async () => {
    for (const socket of [...clients, ...entered]) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const knock = async (localAddress: string): Promise<Socket> => {
    const before = seen;
    const socket = connect({ port, host: "127.0.0.1", localAddress });
    socket.on("error", () => undefined).resume();
    clients.push(socket);
    await until("the gate has looked", () => seen > before);
    return socket;
  };
  return { gate, entered, lines, knock };
}

describe("the gate of connections", { timeout: 120_000 }, () => {
  it("cuts the oldest waiting connection of the address with most of them, never one that was accepted", async (t) => {
    const { gate, entered, knock } = await openDoor(t, { maxConnections: 5 });
    for (let i = 0; i < 3; i++) await knock("127.0.0.2");
    for (let i = 0; i < 2; i++) await knock("127.0.0.3");
    gate.settle(entered[0]!);
    await knock("127.0.0.4");
    assert.deepEqual(
      entered.map(({ destroyed }) => destroyed),
      [false, true, false, false, false, false],
    );
    assert.equal(gate.connections, 5);
    assert.equal(gate.cuts["made-room"], 1);
  });

  it("refuses who comes when all were accepted, and takes one again when there is room", async (t) => {
    const { gate, entered, lines, knock } = await openDoor(t, { maxConnections: 2 });
    for (let i = 0; i < 2; i++) {
      await knock("127.0.0.2");
      gate.settle(entered[i]!);
    }
    await knock("127.0.0.3");
    assert.equal(entered.length, 2);
    assert.equal(gate.cuts.total, 1);
    assert.deepEqual(lines, ["connection from 127.0.0.3: as many connections as the hub takes"]);
    entered[0]!.destroy();
    await until("there is room", () => gate.connections === 1);
    await knock("127.0.0.3");
    assert.equal(entered.length, 3);
  });

  it("bounds one address: a newer connection takes the place of one that waits, and of none that was accepted", async (t) => {
    const { gate, entered, knock } = await openDoor(t, { maxConnectionsPerAddress: 2 });
    await knock("127.0.0.2");
    await knock("127.0.0.2");
    await knock("127.0.0.3");
    gate.settle(entered[1]!);
    await knock("127.0.0.2");
    assert.deepEqual(
      entered.map(({ destroyed }) => destroyed),
      [true, false, false, false],
    );
    gate.settle(entered[3]!);
    await knock("127.0.0.2");
    assert.equal(entered.length, 4);
    assert.equal(gate.cuts.address, 2);
    assert.equal(gate.connections, 3);
  });

  it("bounds addresses that many share in total only", async (t) => {
    const limits = { maxConnectionsPerAddress: 1, maxConnections: 4, sharedAddresses: ["127.0.0.2", "127.0.9.0/24"] };
    const { gate, entered, knock } = await openDoor(t, limits);
    for (const address of ["127.0.0.2", "127.0.0.2", "127.0.9.7", "127.0.9.7"]) await knock(address);
    assert.equal(entered.filter(({ destroyed }) => !destroyed).length, 4);
    await knock("127.0.0.3");
    assert.equal(gate.cuts["made-room"], 1);
    await knock("127.0.0.3");
    assert.equal(gate.cuts.address, 1);
  });

  it("counts each connection once, however it ends", async (t) => {
    const { gate, entered, knock } = await openDoor(t, { maxConnections: 3 });
    for (let i = 0; i < 20; i++) {
      const socket = await knock(`127.0.0.${2 + (i % 3)}`);
      if (i % 2 === 0) socket.resetAndDestroy();
      if (i % 5 === 0) entered.at(-1)?.destroy();
    }
    for (const socket of entered) socket.destroy();
    await until("all are gone", () => gate.connections === 0);
  });
});
