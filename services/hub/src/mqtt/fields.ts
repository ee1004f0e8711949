import {
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "./packet-types.ts";
import { ANY_TEXT, TOPIC_FILTER, TOPIC_NAME, type TextKind } from "./text-check.ts";

/** The fields that packets from a client are made of, in the order of their tables in MQTT 3.1.1, clause 3. */
export const PROTOCOL_NAME = 0;
export const PROTOCOL_LEVEL = 1;
export const CONNECT_FLAGS = 2;
export const KEEPALIVE = 3;
export const CLIENT_ID = 4;
export const WILL_TOPIC = 5;
export const WILL_MESSAGE = 6;
export const USER_NAME = 7;
export const PASSWORD = 8;
export const TOPIC = 9;
export const PUBLISH_ID = 10;
/** Everything up to the end of the packet, not looked at. */
export const PAYLOAD = 11;
export const ACKNOWLEDGED_ID = 12;
export const SUBSCRIBE_ID = 13;
export const WANTED_FILTER = 14;
export const WANTED_QOS = 15;
export const UNSUBSCRIBE_ID = 16;
export const UNWANTED_FILTER = 17;
/** The packet ends here. */
export const END = 18;

/** How a field is written: one byte, a 16-bit number, text or bytes behind their 16-bit length, or what is left. */
export const BYTE = 0;
export const WORD = 1;
export const TEXT = 2;
export const BYTES = 3;
export const REST = 4;
export const NOTHING = 5;

export const SHAPES = Uint8Array.of(
  BYTES, // protocol name
  BYTE, // protocol level
  BYTE, // connect flags
  WORD, // keepalive
  TEXT, // client id
  TEXT, // will topic
  BYTES, // will message
  TEXT, // user name
  BYTES, // password
  TEXT, // topic
  WORD, // packet id of PUBLISH
  REST, // payload
  WORD, // packet id of an acknowledgement
  WORD, // packet id of SUBSCRIBE
  TEXT, // filter of SUBSCRIBE
  BYTE, // QoS of SUBSCRIBE
  WORD, // packet id of UNSUBSCRIBE
  TEXT, // filter of UNSUBSCRIBE
  NOTHING,
);

/** What the text of a field has to be. */
export function textKindOf(field: number): TextKind {
  if (field === TOPIC || field === WILL_TOPIC) return TOPIC_NAME;
  return field === WANTED_FILTER || field === UNWANTED_FILTER ? TOPIC_FILTER : ANY_TEXT;
}

/** First field of a packet of this type. */
export function firstField(type: number): number {
  switch (type) {
    case CONNECT:
      return PROTOCOL_NAME;
    case PUBLISH:
      return TOPIC;
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
      return ACKNOWLEDGED_ID;
    case SUBSCRIBE:
      return SUBSCRIBE_ID;
    case UNSUBSCRIBE:
      return UNSUBSCRIBE_ID;
    case PINGREQ:
    case DISCONNECT:
      return END;
    default:
      throw new RangeError(`packet type ${type}: not one that a client sends`);
  }
}

/** Bits of the connect flags (3.1.2.3). */
export const FLAG_USER_NAME = 0x80;
export const FLAG_PASSWORD = 0x40;
export const FLAG_WILL_RETAIN = 0x20;
export const FLAG_WILL_QOS = 0x18;
export const FLAG_WILL = 0x04;
export const FLAG_CLEAN = 0x02;
export const FLAG_RESERVED = 0x01;

/** The field of CONNECT's payload that follows another, by the flags ([MQTT-3.1.3-1]). */
export function nextConnectField(field: number, flags: number): number {
  switch (field) {
    case CLIENT_ID:
      if ((flags & FLAG_WILL) !== 0) return WILL_TOPIC;
      break;
    case WILL_TOPIC:
      return WILL_MESSAGE;
    case USER_NAME:
      return (flags & FLAG_PASSWORD) !== 0 ? PASSWORD : END;
    case PASSWORD:
      return END;
    default:
  }
  return (flags & FLAG_USER_NAME) !== 0 ? USER_NAME : END;
}

/** Whether connect flags contradict each other. */
export function connectFlagsAreValid(flags: number): boolean {
  if ((flags & FLAG_RESERVED) !== 0) return false; // [MQTT-3.1.2-3]
  if ((flags & FLAG_WILL) === 0) {
    if ((flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) !== 0) return false; // [MQTT-3.1.2-13], [MQTT-3.1.2-15]
  } else if ((flags & FLAG_WILL_QOS) === FLAG_WILL_QOS) return false; // [MQTT-3.1.2-14]
  return (flags & (FLAG_USER_NAME | FLAG_PASSWORD)) !== FLAG_PASSWORD; // [MQTT-3.1.2-22]
}
