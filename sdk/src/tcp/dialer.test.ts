import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Dialer, retryDelayMs } from "./dialer.ts";
import { LINK_TIMING } from "./link-timing.ts";

describe("dialling again", () => {
  it("comes at once after a connection that worked, then after 0.25 s, doubling to 8 s", () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 7, 50].map((failures) => retryDelayMs(failures, LINK_TIMING, 0.5));
    assert.deepEqual(delays, [0, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  });

  it("is a quarter earlier or later by chance", () => {
    assert.equal(retryDelayMs(1, LINK_TIMING, 0), 187.5);
    assert.equal(retryDelayMs(1, LINK_TIMING, 0.999999).toFixed(), "312");
  });

  it("waits as after a failure when the peer closes every connection at once", async () => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const startedMs = performance.now();
    let connections = 0;
    const fifth = new Promise<void>((resolve) => {
      const dialer = new Dialer({
        host: "127.0.0.1",
        port: (server.address() as AddressInfo).port,
        timing: { ...LINK_TIMING, firstRetryMs: 50, maxRetryMs: 100 },
        role: "host",
        onPeer: ({ socket }) => {
          socket.resume();
          if (++connections < 5) return;
          dialer.close();
          resolve();
        },
        onFailed: () => undefined,
      });
      dialer.start();
    });
    await fifth;
    server.close();
    // 50 + 100 + 100 + 100 ms, less a quarter
    assert.ok(performance.now() - startedMs >= 260);
  });
});
