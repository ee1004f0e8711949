import { parseFilters } from "@canfleet/sdk/browser";
import { element } from "./dom.ts";
import { formatCount } from "./format.ts";
import { IdRows } from "./id-rows.ts";
import { IdTable } from "./id-table.ts";
import { LiveBus } from "./live-bus.ts";

/** The table is drawn this often, ms: more than ten times a second nobody can read. */
const DRAW_PERIOD_MS = 100;

/** The live table of one bus with its controls. */
export class Monitor {
  readonly #title = element("monitor-title");
  readonly #empty = element("monitor-empty");
  readonly #note = element("filter-note");
  readonly #filter = element("filter", HTMLInputElement);
  readonly #pause = element("pause", HTMLButtonElement);
  readonly #tableElement = element("ids", HTMLTableElement);
  readonly #rows = new IdRows();
  readonly #table = new IdTable(this.#tableElement, this.#rows);
  readonly #onConnection: (isConnected: boolean) => void;
  #chosen: string | undefined;
  #live: LiveBus | undefined;
  #isPaused = false;
  #missedFrames = 0;
  #someMissed = false;
  #filterError = "";
  #chosenAtMs = 0;

  constructor(onConnection: (isConnected: boolean) => void) {
    this.#onConnection = onConnection;
    this.#filter.addEventListener("input", () => this.#applyFilter());
    this.#pause.addEventListener("click", () => this.togglePause());
    element("clear").addEventListener("click", () => this.#clear());
    setInterval(() => this.#tick(), DRAW_PERIOD_MS);
    element("scroll").addEventListener("scroll", () => this.#drawTable());
  }

  get chosen(): string | undefined {
    return this.#chosen;
  }

  /** Shows another bus: `edge/bus`, or none. */
  choose(name: string | undefined, base: string): void {
    if (name === this.#chosen) return;
    this.#chosen = name;
    this.#chosenAtMs = performance.now();
    this.#live?.close();
    this.#live = undefined;
    this.#clear();
    this.#title.textContent = name ?? "Monitor";
    if (name === undefined) return;
    const [edge = "", bus = ""] = name.split("/");
    this.#live = new LiveBus(edge, bus, base, {
      batch: (batch) => this.#rows.take(batch, performance.now()),
      lost: (frames) => {
        this.#missedFrames += frames ?? 0;
        this.#someMissed ||= frames === null;
      },
      connected: this.#onConnection,
    });
  }

  togglePause(): void {
    this.#isPaused = !this.#isPaused;
    this.#pause.ariaPressed = `${this.#isPaused}`;
    this.#pause.textContent = this.#isPaused ? "Paused" : "Pause";
  }

  #clear(): void {
    this.#rows.clear();
    this.#table.clear();
    this.#missedFrames = 0;
    this.#someMissed = false;
  }

  #applyFilter(): void {
    try {
      this.#table.setFilters(parseFilters(this.#filter.value));
      this.#filterError = "";
    } catch (error) {
      this.#filterError = (error as Error).message;
    }
    this.#filter.ariaInvalid = `${this.#filterError !== ""}`;
  }

  #tick(): void {
    if (!this.#isPaused) this.#drawTable();
    this.#drawNotes();
  }

  #drawTable(): void {
    if (!this.#isPaused && !document.hidden) this.#table.draw(performance.now());
  }

  #drawNotes(): void {
    const total = this.#rows.rows.length;
    this.#tableElement.hidden = total === 0;
    setText(this.#empty, this.#emptyText(total));
    const notes = [
      this.#filterError,
      this.#filter.value !== "" && total > 0 ? `${this.#table.shownRows} of ${total} ids match` : "",
      this.#isPaused ? "paused: frames are still counted" : "",
      this.#missedFrames > 0 ? `${formatCount(this.#missedFrames)} frames did not reach this page` : "",
      this.#someMissed ? "some frames did not reach this page" : "",
      this.#rows.ignoredFrames > 0 ? `${formatCount(this.#rows.ignoredFrames)} frames of further ids not shown` : "",
    ];
    setText(this.#note, notes.filter((note) => note !== "").join(" · "));
  }

  #emptyText(total: number): string {
    if (total > 0) return "";
    if (this.#chosen === undefined) return "Frames appear here once an edge has connected.";
    const seconds = Math.floor((performance.now() - this.#chosenAtMs) / 1000);
    if (seconds < 3) return `Waiting for frames of ${this.#chosen}.`;
    return (
      `0 frames of ${this.#chosen} in ${seconds} s.\n` +
      "Usual causes: another bit rate than the bus, no termination, interface down.\n" +
      `On the edge: ip -details -statistics link show ${this.#chosen.split("/")[1] ?? ""}`
    );
  }
}

function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
