"""Prints the frames of a fleet as candump log lines, with paho-mqtt and cbor2 alone.

usage: read_frames.py [HOST [PORT [TOPIC]]]
"""

import struct
import sys

import cbor2
import paho.mqtt.client as mqtt

HOST = sys.argv[1] if len(sys.argv) > 1 else "localhost"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 1883
TOPIC = sys.argv[3] if len(sys.argv) > 3 else "canfleet/+/+/frames"

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000
WIDTHS = {64: "B", 69: "H", 70: "I"}  # RFC 8746: u8, u16, u32, little-endian


def column(tag):
    width = WIDTHS[tag.tag]
    return struct.unpack(f"<{len(tag.value) // struct.calcsize(width)}{width}", tag.value)


def frames(batch):
    """Yields (time in µs, id word, length, flags, data) of a batch (docs/wire-mqtt.md 2.1)."""
    ids = column(batch["id"])
    flags = column(batch["flags"]) if "flags" in batch else (0,) * len(ids)
    time_us, offset = batch["t"], 0
    for dt, id_word, length, flag in zip(column(batch["dt"]), ids, column(batch["len"]), flags):
        time_us += dt
        remote = id_word & (RTR | ERR) == RTR
        data = b"" if remote else batch["data"][offset : offset + length]
        offset += len(data)
        yield time_us, id_word, length, flag, data


def log_line(interface, time_us, id_word, length, flag, data):
    wide = id_word & (EFF | ERR)
    name = f"{id_word & 0x3FFFFFFF:08X}" if wide else f"{id_word & 0x7FF:03X}"
    if id_word & (RTR | ERR) == RTR:
        body = f"#R{length or ''}"
    elif flag & 1:
        body = f"##{flag >> 1 & 3:X}{data.hex().upper()}"
    else:
        body = f"#{data.hex().upper()}"
    return f"({time_us // 1_000_000:010}.{time_us % 1_000_000:06}) {interface} {name}{body}"


def on_message(client, userdata, message):
    _, edge, bus, _ = message.topic.rsplit("/", 3)
    batch = cbor2.loads(message.payload)
    for place, count in batch.get("lost", {}).items():
        print(f"lost before this batch at {place}: {'unknown' if count is None else count}", file=sys.stderr)
    for frame in frames(batch):
        print(log_line(f"{edge}-{bus}", *frame), flush=True)


# paho-mqtt 2 wants to be told which form of callbacks is meant; 1 has only one.
versions = getattr(mqtt, "CallbackAPIVersion", None)
client = mqtt.Client(versions.VERSION2) if versions else mqtt.Client()
client.on_connect = lambda client, *_: client.subscribe(TOPIC)
client.on_message = on_message
client.connect(HOST, PORT)
try:
    client.loop_forever()
except (KeyboardInterrupt, BrokenPipeError):
    sys.stderr.close()  # nothing more to say, not even that standard output is gone
