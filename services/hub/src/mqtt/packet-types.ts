/** Control packet types (MQTT 3.1.1, 2.2.1). */
export const CONNECT = 1;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const UNSUBSCRIBE = 10;
export const PINGREQ = 12;
export const DISCONNECT = 14;

const NAMES = [
  "type 0",
  "CONNECT",
  "CONNACK",
  "PUBLISH",
  "PUBACK",
  "PUBREC",
  "PUBREL",
  "PUBCOMP",
  "SUBSCRIBE",
  "SUBACK",
  "UNSUBSCRIBE",
  "UNSUBACK",
  "PINGREQ",
  "PINGRESP",
  "DISCONNECT",
  "type 15",
];

/** Name of a type, 0–15, for messages. */
export function typeName(type: number): string {
  return NAMES[type]!;
}

/** The low four bits that each type that a client may send has to have (2.2.2); undefined: not a client's to send. */
const FLAGS: readonly (number | undefined)[] = [
  undefined, // reserved
  0, // CONNECT
  undefined, // CONNACK
  undefined, // PUBLISH: DUP, QoS and RETAIN, looked at by themselves
  0, // PUBACK
  0, // PUBREC
  2, // PUBREL
  0, // PUBCOMP
  2, // SUBSCRIBE
  undefined, // SUBACK
  2, // UNSUBSCRIBE
  undefined, // UNSUBACK
  0, // PINGREQ
  undefined, // PINGRESP
  0, // DISCONNECT
  undefined, // reserved
];

export type FirstByteFault = "type" | "flags" | "qos";

/** What is wrong with the first byte of a packet from a client. */
export function firstByteFault(byte: number): FirstByteFault | undefined {
  const type = byte >> 4;
  if (type === PUBLISH) {
    const qos = (byte >> 1) & 3;
    if (qos === 3) return "qos"; // [MQTT-3.3.1-4]
    return qos === 0 && (byte & 8) !== 0 ? "flags" : undefined; // [MQTT-3.3.1-2]
  }
  const flags = FLAGS[type];
  if (flags === undefined) return "type";
  return (byte & 15) === flags ? undefined : "flags"; // [MQTT-2.2.2-2]
}
