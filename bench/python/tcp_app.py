"""An app on a Python TCPBus of socketsocketcan: counts frames and latencies, as programs/app.ts does.

Arguments: the folder that holds the package `socketsocketcan`, the port to listen on, and 1 where frames carry the
feeder's time, else 0. Commands on stdin: report,
reset, count. Answers are lines of JSON.
"""

import importlib.util
import json
import os
import sys
import threading
import time

# The bus alone: the package's other modules need a compiled extension.
FOLDER, PORT, IS_STAMPED = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1"
spec = importlib.util.spec_from_file_location(
    "tcpbus_server", os.path.join(FOLDER, "socketsocketcan", "tcpbus", "server.py")
)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

latencies = []
first_us = last_us = 0.0
received = 0


def quantile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0


def report():
    values = sorted(latencies)
    return {
        "frames": received,
        "lost": 0,
        "firstUs": first_us,
        "lastUs": last_us,
        "p50Us": quantile(values, 0.5),
        "p99Us": quantile(values, 0.99),
        "p999Us": quantile(values, 0.999),
    }


def answer():
    global first_us, last_us, received
    for line in sys.stdin:
        if line.strip() == "reset":
            latencies.clear()
            first_us = last_us = 0.0
            received = 0
        if line.strip() == "count":
            print(json.dumps({"frames": received}), flush=True)
        else:
            print(json.dumps(report()), flush=True)
    os._exit(0)


threading.Thread(target=answer, daemon=True).start()
print(json.dumps({"port": PORT}), flush=True)
bus = module.TCPBus(PORT, hostname="127.0.0.1")
recv = bus.recv
while True:
    message = recv(0.5)
    if message is None:
        continue
    now_ns = time.monotonic_ns()
    received += 1
    last_us = now_ns / 1000
    if first_us == 0:
        first_us = last_us
    if IS_STAMPED:
        latencies.append((now_ns - int.from_bytes(message.data, "little")) / 1000)
