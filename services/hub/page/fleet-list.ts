import { shownState } from "./bus-state.ts";
import { element } from "./dom.ts";
import type { BusAnswer, EdgeAnswer, FleetAnswer } from "./fleet-api.ts";
import { formatAge, formatBitrate, formatBytes, formatCount, formatOffset, formatPercent, UNKNOWN } from "./format.ts";

interface BusCard {
  item: HTMLLIElement;
  link: HTMLAnchorElement;
  state: HTMLElement;
  values: Map<string, HTMLElement>;
}

const FIELDS: readonly [title: string, wide: boolean, text: (bus: BusAnswer) => string][] = [
  ["frames/s", false, (bus) => formatCount(bus.framesPerSecond)],
  ["load", false, (bus) => formatPercent(bus.loadPercent)],
  ["age", false, (bus) => formatAge(bus.ageMs)],
  ["driver", false, (bus) => bus.driver ?? UNKNOWN],
  ["bitrate", false, (bus) => formatBitrate(bus.bitrate)],
  ["send", false, (bus) => bus.send ?? UNKNOWN],
  ["clock", false, (bus) => describeClock(bus.clock)],
  ["spool", false, (bus) => describeSpool(bus.spool)],
  ["lost", true, (bus) => describeLosses(bus.lost)],
];

/** What says nothing of a bus that does not report. */
const NOT_NOW: Pick<BusAnswer, "framesPerSecond" | "loadPercent" | "clock" | "spool"> = {
  framesPerSecond: null,
  loadPercent: null,
  clock: { offsetUs: null, steps: null },
  spool: { state: UNKNOWN, reason: null, bytes: null, dropping: false },
};

/** The list of all buses, each a link to its frames. */
export class FleetList {
  readonly #list = element("buses", HTMLUListElement);
  readonly #cards = new Map<string, BusCard>();

  /** @param chosen `edge/bus` whose frames are shown */
  draw(fleet: FleetAnswer, chosen: string | undefined): void {
    const seen = new Set<string>();
    for (const edge of fleet.edges) {
      for (const bus of edge.buses) {
        const name = `${edge.edge}/${bus.bus}`;
        seen.add(name);
        this.#drawCard(name, edge, bus, name === chosen);
      }
    }
    for (const [name, card] of this.#cards) {
      if (seen.has(name)) continue;
      card.item.remove();
      this.#cards.delete(name);
    }
    this.#drawEmpty(fleet, seen.size);
  }

  #drawCard(name: string, edge: EdgeAnswer, bus: BusAnswer, isChosen: boolean): void {
    const card = this.#cards.get(name) ?? this.#addCard(name);
    const { word, shape, tone, isCurrent } = shownState(edge, bus);
    setText(card.state, `${shape} ${word}`);
    card.state.className = `state ${tone}`;
    card.link.ariaCurrent = `${isChosen}`;
    card.link.title = [
      bus.reason,
      bus.spool?.reason && `spool: ${bus.spool.reason}`,
      edge.host && `host ${edge.host}`,
      edge.version && `version ${edge.version}`,
    ]
      .filter(Boolean)
      .join(", ");
    const shown = isCurrent ? bus : { ...bus, ...NOT_NOW };
    for (const [title, , text] of FIELDS) setText(card.values.get(title)!, text(shown));
  }

  #addCard(name: string): BusCard {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.className = "bus";
    link.href = `#/${name}`;
    const title = document.createElement("span");
    title.className = "name";
    title.textContent = name;
    const state = document.createElement("span");
    const list = document.createElement("dl");
    const values = new Map<string, HTMLElement>();
    for (const [term, isWide] of FIELDS) {
      const pair = document.createElement("div");
      if (isWide) pair.className = "wide";
      const dt = document.createElement("dt");
      dt.textContent = term;
      const dd = document.createElement("dd");
      pair.append(dt, dd);
      list.append(pair);
      values.set(term, dd);
    }
    link.append(title, state, list);
    item.append(link);
    const card = { item, link, state, values };
    this.#cards.set(name, card);
    const after = [...this.#cards.keys()].filter((other) => other > name).sort()[0];
    this.#list.insertBefore(item, after === undefined ? null : this.#cards.get(after)!.item);
    return card;
  }

  #drawEmpty(fleet: FleetAnswer, buses: number): void {
    element("fleet-empty").hidden = buses > 0;
    if (buses > 0) return;
    const hubUrl = publicUrl(fleet.mqttUrl);
    setText(element("try-sim"), `canfleet edge sim:car --hub ${hubUrl} --name demo`);
    setText(element("try-can"), `canfleet edge can0 --hub ${hubUrl} --name pi-7`);
  }
}

/** The address of the broker as the one who looks at this page reaches it. */
function publicUrl(mqttUrl: string): string {
  const url = new URL(mqttUrl.replace(/^mqtt/, "http"));
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  const host = isLocal ? location.hostname : url.hostname;
  return `${mqttUrl.split(":")[0]}://${host}${url.port ? `:${url.port}` : ""}`;
}

function describeLosses(lost: BusAnswer["lost"]): string {
  const places = Object.entries(lost);
  if (places.length === 0) return UNKNOWN;
  return places.map(([place, frames]) => `${place} ${frames === null ? "?" : formatCount(frames)}`).join(" · ");
}

/** How far the edge's clock is from the hub's, and whether somebody has set it. */
function describeClock({ offsetUs, steps }: BusAnswer["clock"]): string {
  return steps ? `${formatOffset(offsetUs)}, set` : formatOffset(offsetUs);
}

function describeSpool(spool: BusAnswer["spool"]): string {
  if (!spool) return "off";
  if (spool.state !== "ok") return spool.state;
  const size = spool.bytes === 0 ? "on" : formatBytes(spool.bytes);
  return spool.dropping ? `${size}, drops` : size;
}

function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
