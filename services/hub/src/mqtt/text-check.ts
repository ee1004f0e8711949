/** What a string of a packet has to be: any text, a topic name, or a topic filter. */
export const ANY_TEXT = 0;
export const TOPIC_NAME = 1;
export const TOPIC_FILTER = 2;
export type TextKind = typeof ANY_TEXT | typeof TOPIC_NAME | typeof TOPIC_FILTER;

export type TextFault = "utf8" | "topic" | "filter" | "levels";

/**
 * Levels of a topic at most. The broker's matching would end the process at a topic of more than 100 levels, so the
 * broker itself refuses them, too.
 */
export const MAX_TOPIC_LEVELS = 100;

const PLUS = 0x2b;
const SLASH = 0x2f;
const HASH = 0x23;

/** What each byte can be: nothing to look at, or one of the others. The first two are also the levels that they add. */
const PLAIN = 0;
const SEPARATOR = 1;
const WILDCARD = 2;
const CONTROL = 3;
const MULTIBYTE = 4;

const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return MULTIBYTE;
  if (byte < 0x20 || byte === 0x7f) return CONTROL;
  if (byte === SLASH) return SEPARATOR;
  return byte === PLUS || byte === HASH ? WILDCARD : PLAIN;
});

/**
 * Checks one UTF-8 string (MQTT 3.1.1, 1.5.3) as its bytes come, in pieces of any size; keeps none of them.
 *
 * U+0000 and surrogates have to be refused; other control characters and noncharacters may be, and are: names end up
 * in logs and on pages.
 */
export class TextCheck {
  readonly #maxLevels: number;
  #kind: TextKind = ANY_TEXT;
  #levels = 1;
  /** The byte before; at the start as if a level had just begun. */
  #before = SLASH;
  /** Continuation bytes still to come, the range of the next, and the code point so far. */
  #expected = 0;
  #lowest = 0x80;
  #highest = 0xbf;
  #codePoint = 0;

  /** @param maxLevels levels of a topic or filter. Default `MAX_TOPIC_LEVELS`, which is as many as there may be */
  constructor(maxLevels = MAX_TOPIC_LEVELS) {
    this.#maxLevels = maxLevels;
  }

  /** Begins a string. */
  begin(kind: TextKind): void {
    this.#kind = kind;
    this.#levels = 1;
    this.#before = SLASH;
    this.#expected = 0;
    this.#codePoint = 0;
  }

  /** Looks at `bytes[from]` up to, not including, `bytes[to]`. */
  take(bytes: Uint8Array, from: number, to: number): TextFault | undefined {
    const start = this.#kind === TOPIC_NAME && this.#expected === 0 ? this.#takePlain(bytes, from, to) : from;
    if (this.#levels > this.#maxLevels) return "levels";
    for (let at = start; at < to; at++) {
      const byte = bytes[at]!;
      const fault = this.#expected > 0 ? this.#takeContinuation(byte) : this.#takeFirst(byte);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** Steps over what nearly all topic names are made of: with it the whole check takes about half the time. */
  #takePlain(bytes: Uint8Array, from: number, to: number): number {
    let levels = this.#levels;
    let at = from;
    for (; at < to; at++) {
      const kind = CLASSES[bytes[at]!]!;
      if (kind > SEPARATOR) break;
      levels += kind;
    }
    this.#levels = levels;
    return at;
  }

  /** The string ends here. */
  end(): TextFault | undefined {
    return this.#expected > 0 ? "utf8" : undefined;
  }

  #takeFirst(byte: number): TextFault | undefined {
    const before = this.#before;
    this.#before = byte;
    // [MQTT-4.7.1-2], [MQTT-4.7.1-3]: nothing after `#`, only a separator after `+`.
    if (this.#kind === TOPIC_FILTER && (before === HASH || (before === PLUS && byte !== SLASH))) return "filter";
    switch (CLASSES[byte]) {
      case PLAIN:
        return undefined;
      case SEPARATOR:
        if (this.#kind === ANY_TEXT) return undefined;
        return ++this.#levels > this.#maxLevels ? "levels" : undefined;
      case WILDCARD:
        if (this.#kind === TOPIC_NAME) return "topic";
        return this.#kind === TOPIC_FILTER && before !== SLASH ? "filter" : undefined;
      case CONTROL:
        return "utf8";
      default:
        return this.#takeLead(byte);
    }
  }

  /** First byte of a sequence of two to four (RFC 3629, 4): the range of the second shuts out what has a shorter form. */
  #takeLead(byte: number): TextFault | undefined {
    if (byte < 0xc2 || byte > 0xf4) return "utf8";
    this.#lowest = 0x80;
    this.#highest = 0xbf;
    if (byte < 0xe0) {
      this.#expected = 1;
      this.#codePoint = byte & 0x1f;
    } else if (byte < 0xf0) {
      this.#expected = 2;
      this.#codePoint = byte & 0x0f;
      if (byte === 0xe0) this.#lowest = 0xa0;
      if (byte === 0xed) this.#highest = 0x9f; // surrogates
    } else {
      this.#expected = 3;
      this.#codePoint = byte & 0x07;
      if (byte === 0xf0) this.#lowest = 0x90;
      if (byte === 0xf4) this.#highest = 0x8f;
    }
    return undefined;
  }

  #takeContinuation(byte: number): TextFault | undefined {
    if (byte < this.#lowest || byte > this.#highest) return "utf8";
    this.#lowest = 0x80;
    this.#highest = 0xbf;
    this.#codePoint = (this.#codePoint << 6) | (byte & 0x3f);
    return --this.#expected === 0 && isUnwanted(this.#codePoint) ? "utf8" : undefined;
  }
}

/** C1 control characters and noncharacters. */
function isUnwanted(codePoint: number): boolean {
  return codePoint < 0xa0 || (codePoint & 0xfffe) === 0xfffe || (codePoint >= 0xfdd0 && codePoint <= 0xfdef);
}
