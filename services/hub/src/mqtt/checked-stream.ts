import type { Duplex } from "node:stream";
import type { PacketCheck, PacketFault } from "./packet-check.ts";

/**
 * Puts a check before whoever takes bytes from `conn` with `read()`. Packets before the one at fault are handed on,
 * then the connection ends with an error, after a CONNACK where the standard wants one.
 *
 * @param onFault called once, when a packet is at fault
 * @param pass is given what was checked, and gives what `read()` returns of it, or null when that is nothing
 * @returns ends it: what comes from then on is dropped, a packet that has begun included
 */
export function checkPackets(
  conn: Duplex,
  check: PacketCheck,
  onFault: (fault: PacketFault) => void,
  pass: (checked: Buffer) => Buffer | null,
): () => void {
  const read = conn.read.bind(conn) as (size?: number) => Buffer | null;
  let isOver = false;
  const next = (size?: number): Buffer | null => {
    if (isOver) {
      // All of it, or the end of the stream would never be seen.
      while (read() !== null);
      return null;
    }
    const chunk = read(size);
    if (chunk === null) return null;
    const count = check.take(chunk);
    if (count === chunk.length) return chunk;
    isOver = true;
    if (check.fault !== undefined) {
      onFault(check.fault);
      // Whoever reads has to have taken what is handed on now.
      setImmediate(endConnection, conn, check);
    }
    return count === 0 ? null : chunk.subarray(0, count);
  };
  conn.read = (size?: number): Buffer | null => {
    // A reader that is given nothing waits for more to come, so what is there has to be taken to its end.
    for (let checked = next(size); checked !== null; checked = next(size)) {
      const passed = pass(checked);
      if (passed) return passed;
    }
    return null;
  };
  return () => {
    isOver = true;
  };
}

function endConnection(conn: Duplex, check: PacketCheck): void {
  const error = new Error(check.complaint);
  if (check.connackCode === 0 || !conn.writable) conn.destroy(error);
  else conn.end(Buffer.of(0x20, 2, 0, check.connackCode), () => conn.destroy(error));
}
