"""A host that behaves on the wire as socketsocketcan's Python TCPBus does. Standard library only.

Written from the facts of docs/wire-tcp.md: it listens, takes one connection, understands 21-byte records and nothing
else, reads 420 bytes at a time, and answers nothing. A remote frame that it sends lacks as many zeros as its DLC says.

Usage: seed_tcpbus.py FRAMES
Prints "listening PORT", then "ID DLC DATA" in hex for each record ("error", "remote" in front where it is one), and ends
after FRAMES of them. It sends three frames as soon as a peer has connected, in one write: 0x123 with 3 bytes, the
remote frame 0x321 that asks for 4, and 0x18DA1234 in extended format with 8 bytes.
"""

import socket
import struct
import sys

RECORD_BYTES = 21
SENT = (
    struct.pack("<IB", 0x123, 3) + bytes([1, 2, 3]) + bytes(5)
    + struct.pack("<IB", 0x321 | 0x40000000, 4) + bytes(4)
    + struct.pack("<IB", 0x18DA1234 | 0x80000000, 8) + bytes(range(8))
)


def describe(record: bytes) -> str:
    seconds, microseconds, id_word, dlc = struct.unpack_from("<IIIB", record)
    kind = "error" if id_word & 0x20000000 else "remote" if id_word & 0x40000000 else "data"
    arbitration_id = id_word & (0x1FFFFFFF if id_word & 0x80000000 else 0x7FF)
    return f"{kind} {seconds}.{microseconds:06d} {arbitration_id:x} {dlc} {record[13:13 + dlc].hex()}"


def main() -> None:
    wanted = int(sys.argv[1])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    print("listening", listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    connection.sendall(SENT)
    rest = b""
    received = 0
    while received < wanted:
        data = connection.recv(RECORD_BYTES * 20)
        if not data:
            break
        data = rest + data
        whole = len(data) // RECORD_BYTES * RECORD_BYTES
        for at in range(0, whole, RECORD_BYTES):
            print(describe(data[at:at + RECORD_BYTES]))
            received += 1
        rest = data[whole:]
    connection.close()


main()
