import type { Duplex } from "node:stream";
import type { HubLimits } from "../limits.ts";

const CONNECT = 0x10;
const NAME = Buffer.from([0, 4, ...Buffer.from("MQTT")]);

/**
 * Whether the first bytes of a connection are a CONNECT of MQTT 5; undefined: too few of them.
 *
 * What is none of any protocol, or announces itself too large, is not either: whoever serves the others has the words for it.
 *
 * @param limitBytes largest CONNECT, fixed header not counted
 */
export function isMqtt5(bytes: Uint8Array, limitBytes: number): boolean | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] !== CONNECT) return false;
  let at = 1;
  let length = 0;
  for (let weight = 1; ; weight *= 128) {
    if (at >= bytes.length) return undefined;
    length += (bytes[at]! & 0x7f) * weight;
    if (length > limitBytes) return false;
    if (bytes[at++]! < 0x80) break;
    if (at > 4) return false;
  }
  for (const byte of NAME) {
    if (at >= bytes.length) return undefined;
    if (bytes[at++] !== byte) return false;
  }
  return at < bytes.length ? bytes[at] === 5 : undefined;
}

/**
 * Looks at the first bytes of a connection and leaves them there.
 *
 * @param limits time for them, ms, and the largest CONNECT, bytes
 */
export function lookAtLevel(
  conn: Duplex,
  { connectTimeoutMs, maxConnectBytes }: Pick<HubLimits, "connectTimeoutMs" | "maxConnectBytes">,
  { onKnown, onTimeout }: { onKnown: (isMqtt5: boolean) => void; onTimeout: () => void },
): void {
  const timer = setTimeout(onTimeout, connectTimeoutMs);
  conn.once("close", () => clearTimeout(timer));
  let seen = Buffer.alloc(0);
  const look = (): void => {
    for (let chunk = conn.read() as Buffer | null; chunk !== null; chunk = conn.read() as Buffer | null) {
      seen = Buffer.concat([seen, chunk]);
    }
    const answer = isMqtt5(seen, maxConnectBytes);
    if (answer === undefined) return;
    clearTimeout(timer);
    conn.removeListener("readable", look);
    conn.unshift(seen);
    // The stream forgets its listener with the end of this turn; only then does a new one find what waits.
    setImmediate(() => {
      if (!conn.destroyed) onKnown(answer);
    });
  };
  conn.on("readable", look);
}
