import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { networkInterfaces } from "node:os";
import { AckWatch } from "./ack-watch.ts";
import { findQueue, readKernelQueue, type KernelQueue } from "./kernel-queue.ts";

/** From a machine of little-endian words. `tm->when`, retransmissions, uid, probes and inode as they come. */
const V4 = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 662723 1 00000000dca23dc3 100
   1: 0100007F:1388 0200007F:9C40 01 0000002A:00000000 01:00000014 00000003     0        0 662724 2 00000000dca23dc4 20
   2: 0100007F:1388 0300007F:9C40 01 00000000:00000000 02:00000014 00000000     0        0 662725 2 00000000dca23dc4 20
   3: 0100007F:1388 0300007F:9C41 01 00001000:00000000 04:00000014 00000000     0        1 662725 2 00000000dca23dc4 20
   4: 0100007F:1388 0300007F:9C42 01 00001000:00000000 04:00000014 00000000     0        5 662725 2 00000000dca23dc4 20
`;
const V6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 0000000000000000FFFF00000100007F:1388 0000000000000000FFFF00000200007F:9C40 01 00000007:00000000 01:00000014 00000003     0        0 662724 2
   1: 000080FE0000000000000000010000FE:1388 000080FE0000000000000000020000FE:9C41 01 00000008:00000000 01:00000014 00000003     0        0 662724 2
`;

describe(
  "what the kernel holds of a connection",
  { skip: process.platform !== "linux" && "told by Linux alone" },
  () => {
    it("is found by both ends", () => {
      const find = (remoteAddress: string, remotePort: number): KernelQueue | undefined =>
        findQueue(remoteAddress.includes(":") ? V6 : V4, { localPort: 5000, remoteAddress, remotePort });
      assert.deepEqual(find("127.0.0.2", 40_000), { unacked: 42, isPeerFull: false });
      assert.deepEqual(find("127.0.0.3", 40_000), { unacked: 0, isPeerFull: false });
      assert.deepEqual(find("127.0.0.3", 40_001), { unacked: 4096, isPeerFull: true });
      assert.deepEqual(find("127.0.0.3", 40_002), { unacked: 4096, isPeerFull: false }, "it does not answer any more");
      assert.equal(find("127.0.0.4", 40_000), undefined);
      assert.deepEqual(find("::ffff:127.0.0.2", 40_000), { unacked: 7, isPeerFull: false });
      assert.deepEqual(find("fe80::fe00:2%eth0", 40_001), { unacked: 8, isPeerFull: false });
    });

    const addresses = new Set(Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address)));
    for (const host of ["127.0.0.1", "::1"].filter((one) => addresses.has(one))) {
      it(`is told of a real connection to ${host} whose peer reads nothing`, async (t) => {
        const [near, far] = await connectedPair(t, host);
        assert.deepEqual(await readKernelQueue(near), { unacked: 0, isPeerFull: false });
        far.pause();
        near.write(new Uint8Array(32 << 20));
        for (const endMs = performance.now() + 60_000; ;) {
          const queue = await readKernelQueue(near);
          assert.ok(queue, "the connection is in the table");
          if (queue.isPeerFull && queue.unacked > 0) break;
          assert.ok(performance.now() < endMs, "the peer is full within 60 s");
          await sleep(20);
        }
      });
    }
  },
);

async function connectedPair(t: TestContext, host: string): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, host);
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [[Socket], unknown];
  t.after(() => {
    for (const socket of [near, far]) socket.destroy();
    server.close();
  });
  return [near, far];
}

/** A socket that has written so many bytes, and what the kernel says of it. */
class Watched {
  bytesWritten = 0;
  writableLength = 0;
  destroyed = false;
  localPort = 5000;
  remotePort = 40_000;
  remoteAddress = "127.0.0.1";
  queue: KernelQueue | undefined = { unacked: 0, isPeerFull: false };
  looks = 0;
  readonly acks = new AckWatch(this, () => {
    this.looks++;
    return Promise.resolve(this.queue);
  });

  /** Writes, of which so much is not acknowledged, and looks. */
  async write(bytes: number, unacked: number, nowMs: number): Promise<number> {
    this.bytesWritten += bytes;
    this.queue = { unacked, isPeerFull: false };
    await this.acks.look(nowMs);
    return this.acks.unackedMs;
  }
}

describe("a watch on acknowledgements", () => {
  it("counts from the first look at which nothing more was acknowledged", async () => {
    const watched = new Watched();
    assert.equal(await watched.write(100, 40, 1_000), 0, "60 were");
    assert.equal(await watched.write(100, 140, 2_000), 0);
    assert.equal(await watched.write(100, 240, 3_000), 1_000);
    assert.equal(await watched.write(0, 240, 9_000), 7_000);
    assert.equal(await watched.write(0, 239, 10_000), 0, "one more was");
    assert.equal(await watched.write(0, 239, 11_000), 0);
    assert.equal(await watched.write(0, 239, 12_000), 1_000);
    assert.equal(await watched.write(0, 0, 13_000), 0, "all were");
  });

  it("does not ask while nothing is under way", async () => {
    const watched = new Watched();
    await watched.acks.look(1_000);
    assert.equal(watched.looks, 0);
    await watched.write(100, 0, 2_000);
    await watched.acks.look(3_000);
    assert.equal(watched.looks, 1);
    await watched.write(1, 1, 4_000);
    assert.equal(watched.looks, 2);
  });

  it("counts no time in which nobody looked, and nothing that is not known", async () => {
    const watched = new Watched();
    await watched.write(100, 100, 1_000);
    assert.equal(await watched.write(0, 100, 2_000), 1_000);
    assert.equal(watched.acks.unackedMs, 1_000, "however late it is");
    watched.queue = undefined;
    await watched.acks.look(60_000);
    assert.equal(watched.acks.unackedMs, 1_000);
    assert.equal(await watched.write(0, 100, 61_000), 60_000, "what was not known is not taken for acknowledged");
  });

  it("takes a peer that answers that it is full for alive, and what this process still holds for nothing", async () => {
    const watched = new Watched();
    await watched.write(1_000, 1_000, 1_000);
    watched.queue = { unacked: 1_000, isPeerFull: true };
    await watched.acks.look(60_000);
    assert.equal(watched.acks.unackedMs, 0);
    // 500 more are written, and wait in this process.
    watched.writableLength = 500;
    await watched.write(500, 1_000, 61_000);
    assert.equal(await watched.write(0, 1_000, 62_000), 1_000, "they are not acknowledged");
  });
});
