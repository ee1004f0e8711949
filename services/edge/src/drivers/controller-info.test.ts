import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseController, readController } from "./controller-info.ts";

/** As iproute2 6.1 prints it for a CAN FD controller (ip/iplink_can.c), shortened to what matters and its neighbours. */
const CAN_FD = {
  ifindex: 3,
  ifname: "can0",
  flags: ["NOARP", "UP", "LOWER_UP", "ECHO"],
  mtu: 72,
  link_type: "can",
  linkinfo: {
    info_kind: "can",
    info_data: {
      ctrlmode: ["FD"],
      state: "ERROR-WARNING",
      berr_counter: { tx: 7, rx: 96 },
      restart_ms: 100,
      bittiming: { bitrate: 500000, sample_point: "0.875", tq: 25 },
      data_bittiming: { bitrate: 2000000, sample_point: "0.750", tq: 25 },
      clock: 40000000,
    },
    info_xstats: { restarts: 1, bus_error: 0, arbitration_lost: 0, error_warning: 1, error_passive: 1, bus_off: 1 },
  },
};

function withData(info_data: unknown): string {
  return JSON.stringify([{ ...CAN_FD, linkinfo: { info_kind: "can", info_data } }]);
}

const NOTHING_KNOWN = {
  bitrate: null,
  dataBitrate: null,
  busState: null,
  txErrors: null,
  rxErrors: null,
  restartMs: null,
};

describe("what ip says of a CAN controller", () => {
  it("gives its bit rates, state, counters and restart", () => {
    assert.deepEqual(parseController(JSON.stringify([CAN_FD])), {
      bitrate: 500_000,
      dataBitrate: 2_000_000,
      busState: "error-warning",
      txErrors: 7,
      rxErrors: 96,
      restartMs: 100,
    });
  });

  it("gives a bit rate out of a fixed list too", () => {
    // slcan in Linux 6.1, word for word.
    const info = parseController(
      '[{"ifindex":3,"ifname":"can0","flags":["NO-CARRIER","NOARP","UP"],"mtu":16,"qdisc":"pfifo_fast","operstate":"DOWN",' +
        '"linkmode":"DEFAULT","group":"default","txqlen":10,"link_type":"can","promiscuity":0,"allmulti":0,"min_mtu":0,' +
        '"max_mtu":0,"linkinfo":{"info_kind":"can","info_data":{"ctrlmode_supported":["LISTEN-ONLY"],"state":"BUS-OFF",' +
        '"restart_ms":0,"bittiming_bitrate":500000,"bitrate_const":[10000,20000,50000,100000,125000,250000,500000,800000,' +
        '1000000],"clock":0}},"num_tx_queues":1,"gso_max_size":65536}]',
    );
    assert.deepEqual(info, { ...NOTHING_KNOWN, bitrate: 500_000, busState: "bus-off", restartMs: 0 });
  });

  it("is nothing known where there is no controller", () => {
    const vcan = [{ ...CAN_FD, ifname: "vcan0", linkinfo: { info_kind: "vcan" } }];
    for (const text of [JSON.stringify(vcan), "[]", "[{}]", "{}", "null", "", "[null]", '[{"linkinfo":7}]', "[{"]) {
      assert.equal(parseController(text), undefined, text);
    }
  });

  it("leaves out what is not as it should be, and a bit rate of 0: not set yet", () => {
    for (const data of [undefined, null, 5, {}, { state: "STOPPED", berr_counter: 1, bittiming: { bitrate: 0 } }]) {
      assert.deepEqual(parseController(withData(data)), NOTHING_KNOWN);
    }
    const wrong = {
      state: ["BUS-OFF"],
      restart_ms: -1,
      berr_counter: { tx: 1.5, rx: "3" },
      bittiming: { bitrate: 1e12 },
    };
    assert.deepEqual(parseController(withData(wrong)), NOTHING_KNOWN);
  });

  it("is nothing for an interface that does not exist", async () => {
    assert.equal(await readController("no-such-can"), undefined);
  });
});
