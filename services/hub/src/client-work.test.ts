import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it, type TestContext } from "node:test";
import { ClientWork } from "./client-work.ts";
import { connectPacket, startBroker, subscribePacket, until } from "./harness.suite.ts";
import { encodePublish, encodePublishHead } from "./publish-packet.ts";

/** A connection whose client is at hand: `push` is what the peer sends. */
class Connection extends Duplex {
  received = Buffer.alloc(0);

  override _read(): void {
    // Comes by `push`.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.received = Buffer.concat([this.received, chunk]);
    done();
  }
}

/** Counts how often the broker was asked to do the work of a packet. */
function countBegun(t: TestContext): () => number {
  let begun = 0;
  const original = Object.getOwnPropertyDescriptor(ClientWork.prototype, "began")!.value as () => void;
  t.mock.method(ClientWork.prototype, "began", function (this: ClientWork) {
    begun++;
    original.call(this);
  });
  return () => begun;
}

describe("the work of a client", () => {
  it("does what comes right behind CONNECT only when that is accepted", async (t) => {
    const { broker } = await startBroker(t);
    const connection = new Connection();
    t.after(() => connection.destroy());
    const packet = connectPacket("c1");
    const read = connection.read.bind(connection);
    let reads = 0;
    // Read first to see which version it is, and put back; then by the broker, whose next turn comes after this.
    connection.read = (size) => {
      const chunk = read(size) as Buffer | null;
      if (chunk?.length === packet.length && ++reads === 2) {
        process.nextTick(() => connection.push(subscribePacket("a/#", 0)));
      }
      return chunk;
    };
    broker.handle(connection);
    connection.push(packet);
    await until("both answers", () => connection.received.length >= 9);
    assert.deepEqual([...connection.received], [0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]);
  });

  it("is done after each packet that is answered, and is not begun by a plain publish", async (t) => {
    const begun = countBegun(t);
    const { broker } = await startBroker(t);
    const connection = new Connection();
    t.after(() => connection.destroy());
    broker.handle(connection);
    let bytes = 0;
    const answered = async (packet: Buffer): Promise<void> => {
      bytes = connection.received.length;
      connection.push(packet);
      await until("it is answered", () => connection.received.length > bytes);
    };
    const plain = encodePublish("a/b", Buffer.from("plain"), false);
    const acknowledged = Buffer.concat([encodePublishHead("b", 1, 1, false, 7), Buffer.of(1)]);
    // Whether a plain publish went the short way. It comes back to its sender once that has subscribed.
    const isShort = async (echoed: boolean): Promise<boolean> => {
      const before = begun();
      if (echoed) await answered(plain);
      else connection.push(plain);
      await new Promise((resolve) => setImmediate(resolve));
      return begun() === before;
    };
    const packets = [connectPacket("c1"), subscribePacket("a/#", 0), acknowledged, Buffer.of(0xc0, 0)];
    for (const [i, packet] of packets.entries()) {
      const before = begun();
      await answered(packet);
      assert.equal(begun(), before + 1);
      // The answer may go out before the last of the work is done.
      await until(`the broker is done with packet ${i + 1}`, () => isShort(i > 0));
      assert.equal(await isShort(i > 0), true);
    }
  });
});
