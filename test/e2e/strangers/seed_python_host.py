"""A host on the raw link that knows the 21-byte records alone and checks nothing, as socketsocketcan's Python TCPBus.

    seed_python_host.py PORT

Listens, takes one edge, reads exactly 21 bytes at a time and prints each record: time, id word, dlc, data. A frame on
stdin (IDWORD DLC DATA, in hex, - for no data) goes to the edge as 13 bytes. Written for the tests from the format's
description; uses the standard library alone.
"""
import socket
import struct
import sys
import threading


def receive(connection, size):
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            return None
        data += chunk
    return data


def print_records(connection):
    while (record := receive(connection, 21)) is not None:
        seconds, micros, word, dlc = struct.unpack("<IIIB", record[:13])
        # Data that follows shifted bytes would show here as nonsense: nothing is checked, as nothing is there.
        print("%d.%06d %08X %d %s" % (seconds, micros, word, dlc, record[13:].hex().upper()), flush=True)
    print("CLOSED", flush=True)


def main(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(1)
    print("LISTENING", server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    print("CONNECTED", flush=True)
    threading.Thread(target=print_records, args=(connection,), daemon=True).start()
    for line in sys.stdin:
        word, dlc, data = line.split()
        payload = b"" if data == "-" else bytes.fromhex(data)
        connection.sendall(struct.pack("<IB8s", int(word, 16), int(dlc), payload))


if __name__ == "__main__":
    main(int(sys.argv[1]))
