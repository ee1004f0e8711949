import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { describe, it } from "node:test";
import { RawLink, type RecordForm } from "@canfleet/edge";
import { FLAG_FD, FrameBatch, TCPBus, type LinkTiming } from "@canfleet/sdk";
import { until } from "./rig.ts";

/** Longer than the 50 ms after which a line counts as quiet. */
const PAUSE_MS = 80;
/** Connections at a time: nearly all of the time goes into pauses. */
const AT_A_TIME = 32;
/** No end decides anything because of a pause: for the cases in which that would be right, but for the busy machine. */
const PATIENT: Partial<LinkTiming> = { quietMs: 60_000, holdMs: 60_000, greetingWaitMs: 60_000 };

type End = "edge" | "host";

interface LinkCase {
  from: End;
  /** What the edge writes. */
  edge: RecordForm;
  /** What the host was told. */
  host: RecordForm;
  timing: Partial<LinkTiming>;
  frames: FrameBatch;
}

const CLASSIC = FrameBatch.of(
  { idWord: 0x123, data: Uint8Array.of(0, 1, 2, 0, 0, 5, 6, 0) },
  { idWord: 0x40000321, length: 4 },
  { idWord: 0x80000100, data: Uint8Array.of(0, 0, 7) },
);
const ANY = FrameBatch.of(
  { idWord: 0x123, data: Uint8Array.of(0, 1, 2, 0, 0, 5, 6, 0) },
  { idWord: 0x9f334455, flags: FLAG_FD, data: Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0) },
  { idWord: 0x40000321, length: 4 },
);

function caseOf(from: End, edge: RecordForm, host: RecordForm): LinkCase {
  const isExtended = edge === "auto" && host === "auto";
  // Which form it is can be found by a pause, as well as whether there is an upgrade.
  return { from, edge, host, timing: host === "auto" ? PATIENT : {}, frames: isExtended ? ANY : CLASSIC };
}

/** A relay that breaks the stream of one end in two: what comes after `at` bytes comes later. */
class Splitter {
  bytes = 0;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  constructor(target: number, from: End, at: number) {
    this.#server = createServer((edge) => {
      const host = connect({ port: target, host: "127.0.0.1", noDelay: true });
      this.#sockets.push(edge.setNoDelay(true), host);
      for (const socket of this.#sockets) socket.on("error", () => undefined);
      const [cut, whole] = from === "edge" ? [edge, host] : [host, edge];
      whole.pipe(cut);
      cut.on("data", (chunk: Uint8Array) => {
        const left = at - this.bytes;
        this.bytes += chunk.length;
        if (left <= 0 || left >= chunk.length) {
          whole.write(chunk);
          if (left === chunk.length) this.#pause(cut, () => undefined);
        } else {
          whole.write(chunk.subarray(0, left));
          this.#pause(cut, () => whole.write(chunk.subarray(left)));
        }
      });
      cut.on("end", () => whole.end());
    });
  }

  #pause(socket: Socket, goOn: () => void): void {
    socket.pause();
    setTimeout(() => {
      goOn();
      socket.resume();
    }, PAUSE_MS);
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function rowsOf(batches: FrameBatch[]): string[] {
  return batches.flatMap((batch) =>
    Array.from({ length: batch.count }, (_, i) => {
      const data = Buffer.from(batch.payload(i)).toString("hex");
      return `${batch.idWord[i]!.toString(16)} ${batch.length[i]} ${batch.flags[i]! & FLAG_FD} ${data}`;
    }),
  );
}

/** Sends the frames through a splitter that cuts at `at`. @returns what came, and how many bytes it took */
async function carry({ from, edge, host, timing, frames }: LinkCase, at: number) {
  const came: FrameBatch[] = [];
  const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", record: host, wait: false, timing });
  const splitter = new Splitter(bus.port!, from, at);
  const port = await splitter.listen();
  const link = new RawLink(
    { role: "dial", host: "127.0.0.1", port, record: edge, timing, log: () => undefined },
    { submit: (order) => from === "host" && came.push(order.frames) },
  );
  bus.on("batch", (batch) => from === "edge" && came.push(batch.clone()));
  try {
    await link.start();
    await until("the connection", () => link.peers.length === 1);
    if (from === "edge") link.publish(frames);
    else await bus.sendBatch(frames, { ttlMs: 60_000 });
    await until(`three frames, cut at ${at}`, () => rowsOf(came).length >= frames.count);
    return { rows: rowsOf(came), bytes: splitter.bytes, connects: link.counters.connects };
  } finally {
    await Promise.all([bus.shutdown(), link.close()]);
    splitter.close();
  }
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

describe("R19 writes that are split", () => {
  const cases: [name: string, LinkCase][] = [
    ...([21, 29, 13] as const).flatMap((size): [string, LinkCase][] => [
      [`edge to host, ${size}-byte records`, caseOf("edge", size, size)],
      [`edge to host, ${size}-byte records that the host finds out`, caseOf("edge", size, "auto")],
    ]),
    ["edge to host, extended", caseOf("edge", "auto", "auto")],
    ["host to edge, records", caseOf("host", 21, 21)],
    ["host to edge, records to an edge that offers more", caseOf("host", "auto", 21)],
    ["host to edge, extended", caseOf("host", "auto", "auto")],
  ];
  for (const [name, one] of cases) {
    it(`${name}: no frame is lost or shifted, wherever the cut`, async () => {
      const whole = await carry(one, Infinity);
      assert.deepEqual(whole.rows, rowsOf([one.frames]));
      await inParallel(whole.bytes - 1, async (index) => {
        const { rows, connects } = await carry(one, index + 1);
        assert.deepEqual(rows, whole.rows, `cut at ${index + 1}`);
        assert.equal(connects, 1, `cut at ${index + 1}`);
      });
      console.log(`R19 ${name}: cut at each of ${whole.bytes - 1} places`);
    });
  }
});
