/** candump's colours, in its order: red, green, yellow, blue, magenta, cyan. */
const COLOURS = [31, 32, 33, 34, 35, 36];

/** Gives each bus a colour, in the order of their first lines. */
export class BusColours {
  readonly #colours = new Map<string, number>();

  /** The text in the colour of the bus. */
  paint(text: string, channel: string): string {
    let colour = this.#colours.get(channel);
    if (colour === undefined) {
      colour = COLOURS[this.#colours.size % COLOURS.length]!;
      this.#colours.set(channel, colour);
    }
    return `\u001b[${colour}m${text}\u001b[0m`;
  }
}
