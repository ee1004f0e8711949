"""Writes frames to a CAN interface through the kernel's own structures, also those that cansend has no words for.

    write_frames.py INTERFACE

Each line of stdin is a frame: IDWORD FLAGS DLC DATA (id word, DLC and data in hex, - for no data; flags as on
canfleet's wire: 1 FD, 2 BRS, 4 ESI). Classic DLCs 9 to F go to len8_dlc, error frames are written with CAN_ERR_FLAG,
which vcan hands to every reader. Prints DONE and the number of frames at the end of stdin.
"""
import socket
import struct
import sys

RTR, ERR = 1 << 30, 1 << 29


def kernel_frame(word, flags, dlc, data):
    if flags & 1:
        # struct canfd_frame: canid_t, len, flags (1 BRS, 2 ESI), 2 reserved, 64 bytes
        return struct.pack("<IBBxx64s", word, len(data), flags >> 1 & 3, data)
    # struct can_frame: canid_t, len, 2 reserved, len8_dlc, 8 bytes
    length = min(dlc, 8) if word & (RTR | ERR) == RTR else len(data)
    return struct.pack("<IBxxB8s", word, length, dlc if dlc > 8 else 0, data)


def main(interface):
    bus = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    bus.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
    bus.bind((interface,))
    count = 0
    for line in sys.stdin:
        word, flags, dlc, data = line.split()
        payload = b"" if data == "-" else bytes.fromhex(data)
        bus.send(kernel_frame(int(word, 16), int(flags), int(dlc, 16), payload))
        count += 1
    print("DONE", count, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
