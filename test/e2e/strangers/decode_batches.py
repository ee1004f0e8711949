"""Reads canfleet's batches from MQTT with paho and cbor2 alone, as docs/wire-mqtt.md describes them.

    decode_batches.py HOST PORT TOPIC          subscribes itself
    mosquitto_sub -F %x ... | decode_batches.py -   one payload in hex a line

Prints a line for each frame: seq, time (µs), id word, flags, dlc, payload, or "LOST place count" in front of it.
Nothing of canfleet is used here: what this program cannot read, no other stranger can.
"""
import struct
import sys

import cbor2

ELEMENT = {64: "B", 69: "H", 70: "I"}
RTR, ERR = 1 << 30, 1 << 29
FD = 1


def column(value):
    """A typed array of RFC 8746 as a tuple of numbers."""
    code = ELEMENT[value.tag]
    return struct.unpack("<%d%s" % (len(value.value) // struct.calcsize(code), code), value.value)


def length_to_dlc(length):
    return next(dlc for dlc, size in enumerate((0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)) if size >= length)


def frames(batch):
    if batch["v"] != 1:
        raise ValueError("batch version %r" % batch["v"])
    lengths = column(batch["len"])
    flags = column(batch["flags"]) if "flags" in batch else (0,) * len(lengths)
    dlcs = column(batch["dlc"]) if "dlc" in batch else tuple(map(length_to_dlc, lengths))
    time, at = batch["t"], 0
    for row, (step, word, length) in enumerate(zip(column(batch["dt"]), column(batch["id"]), lengths)):
        time += step
        size = 0 if word & (RTR | ERR) == RTR else length
        payload = batch["data"][at : at + size]
        at += size
        yield batch["seq"] + row, time, word, flags[row], dlcs[row], payload
    if at != len(batch["data"]):
        raise ValueError("%d bytes of payload, %d used" % (len(batch["data"]), at))


def show(payload):
    batch = cbor2.loads(payload)
    for place, count in batch.get("lost", {}).items():
        print("LOST", place, count)
    for seq, time, word, flags, dlc, data in frames(batch):
        print("%d %d %08X %d %d %s" % (seq, time, word, flags, dlc, data.hex().upper() or "-"))
    sys.stdout.flush()


def from_pipe():
    print("READY", flush=True)
    for line in sys.stdin:
        show(bytes.fromhex(line.strip()))


def from_broker(host, port, topic):
    import paho.mqtt.client as mqtt

    client = mqtt.Client(protocol=mqtt.MQTTv311)
    client.on_connect = lambda *_: client.subscribe(topic, qos=0)
    client.on_subscribe = lambda *_: print("READY", flush=True)
    client.on_message = lambda _client, _data, message: show(message.payload)
    client.connect(host, int(port))
    client.loop_forever()


if __name__ == "__main__":
    from_pipe() if sys.argv[1:] == ["-"] else from_broker(*sys.argv[1:4])
