/** More characters than any element of raw mode has: a frame takes 51 at most. */
const MAX_ELEMENT = 256;

const FRAME = /^< frame (?:[0-9A-F]{3}|[0-9A-F]{8}) \d+\.\d{6} ((?:[0-9A-F]{2}){0,8}) >$/;

/** Cuts what socketcand writes, text in pointed brackets with nothing between them, into its elements. */
export class ElementSplitter {
  #rest = "";

  /**
   * Takes the next piece of the stream, cut anywhere.
   *
   * @returns the elements that are whole now, brackets included
   * @throws RangeError when what has come is no element
   */
  push(text: string): string[] {
    const whole = this.#rest + text;
    const elements: string[] = [];
    let start = 0;
    for (let end = whole.indexOf(">"); end >= 0; end = whole.indexOf(">", start)) {
      elements.push(whole.slice(start, end + 1));
      start = end + 1;
    }
    this.#rest = whole.slice(start);
    if (this.#rest.length > MAX_ELEMENT) throw new RangeError("socketcand: an element without an end");
    return elements;
  }
}

/** The payload of a data frame's element, `< frame ID SECONDS.MICROSECONDS DATA >` in hex; undefined for others. */
export function framePayload(element: string): Buffer | undefined {
  const hex = FRAME.exec(element)?.[1];
  return hex === undefined ? undefined : Buffer.from(hex, "hex");
}
