import { isRemoteWord, passesFilters, type CanFilter } from "@canfleet/sdk/browser";
import { formatByte } from "./format.ts";
import { byId, dataNote, ID_COLUMNS, type IdColumn } from "./id-columns.ts";
import type { IdRow, IdRows } from "./id-rows.ts";

/** How long a changed byte stays marked, ms. */
const MARK_MS = 800;
/** Rows change places at most this often, ms: a table that moves under the eye cannot be read. */
const SORT_PERIOD_MS = 1_000;
/** Rows outside the window that are drawn too, above and below. */
const SPARE_ROWS = 10;
const ROW_HEIGHT_PX = 22;

interface ByteCell {
  span: HTMLSpanElement;
  shown: number;
  mark: string;
}

interface RowCells {
  tr: HTMLTableRowElement;
  texts: { cell: HTMLTableCellElement; shown: string }[];
  dataCell: HTMLTableCellElement;
  note: HTMLSpanElement;
  bytes: ByteCell[];
  shownBytes: number;
}

/**
 * The table of ids in the document. Drawing costs what is on the screen, whatever the frame rate: rows outside the
 * window are left alone, and of the others only cells whose text has changed are touched.
 */
export class IdTable {
  readonly #table: HTMLTableElement;
  readonly #body: HTMLTableSectionElement;
  readonly #rows: IdRows;
  readonly #cells = new Map<number, RowCells>();
  #order: IdRow[] = [];
  #filters: readonly CanFilter[] = [];
  #column: IdColumn = ID_COLUMNS[0]!;
  #descending = false;
  #orderStale = true;
  #orderedRows = 0;
  #orderedAtMs = 0;

  constructor(table: HTMLTableElement, rows: IdRows) {
    this.#table = table;
    this.#body = table.tBodies[0]!;
    this.#rows = rows;
    this.#drawHead();
  }

  /** Ids that pass the filters. */
  get shownRows(): number {
    return this.#order.length;
  }

  setFilters(filters: readonly CanFilter[]): void {
    this.#filters = filters;
    this.#orderStale = true;
  }

  clear(): void {
    this.#cells.clear();
    this.#order = [];
    this.#orderStale = true;
    this.#body.replaceChildren();
  }

  #drawHead(): void {
    const head = this.#table.tHead!.rows[0]!;
    for (const column of ID_COLUMNS) {
      const th = document.createElement("th");
      th.className = column.name;
      th.scope = "col";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = column.title;
      button.addEventListener("click", () => this.#sortBy(column));
      th.append(button);
      head.append(th);
    }
    const data = document.createElement("th");
    data.className = "data";
    data.scope = "col";
    data.textContent = "Data";
    head.append(data);
    this.#markSort();
  }

  #sortBy(column: IdColumn): void {
    this.#descending = this.#column === column ? !this.#descending : false;
    this.#column = column;
    this.#orderStale = true;
    this.#markSort();
    this.draw(performance.now());
  }

  #markSort(): void {
    [...this.#table.tHead!.rows[0]!.cells].forEach((th, i) => {
      if (ID_COLUMNS[i] === this.#column) th.ariaSort = this.#descending ? "descending" : "ascending";
      else th.removeAttribute("aria-sort");
    });
  }

  /** Brings what is on the screen up to date. */
  draw(nowMs: number): void {
    this.#reorder(nowMs);
    const { from, to } = this.#window();
    for (let i = from; i < to; i++) this.#drawRow(this.#order[i]!, nowMs);
  }

  #reorder(nowMs: number): void {
    const due = this.#column !== ID_COLUMNS[0] && nowMs - this.#orderedAtMs >= SORT_PERIOD_MS;
    if (!this.#orderStale && this.#orderedRows === this.#rows.rows.length && !due) return;
    this.#orderStale = false;
    this.#orderedRows = this.#rows.rows.length;
    this.#orderedAtMs = nowMs;
    const sign = this.#descending ? -1 : 1;
    this.#order = this.#rows.rows
      .filter((row) => passesFilters(this.#filters, row.idWord))
      .sort((a, b) => sign * (this.#column.compare(a, b, nowMs) || byId(a, b)));
    this.#placeRows(nowMs);
  }

  /** Moves only rows that are not where they should be. */
  #placeRows(nowMs: number): void {
    let at = this.#body.firstElementChild;
    for (const row of this.#order) {
      const { tr } = this.#cells.get(row.key) ?? this.#addRow(row, nowMs);
      if (tr === at) at = at.nextElementSibling;
      else this.#body.insertBefore(tr, at);
    }
    while (at) {
      const next: Element | null = at.nextElementSibling;
      at.remove();
      at = next;
    }
  }

  #window(): { from: number; to: number } {
    const top = this.#body.getBoundingClientRect().top;
    const first = Math.floor(-top / ROW_HEIGHT_PX) - SPARE_ROWS;
    const count = Math.ceil(window.innerHeight / ROW_HEIGHT_PX) + 2 * SPARE_ROWS;
    const from = Math.max(0, Math.min(first, this.#order.length - count));
    return { from, to: Math.min(this.#order.length, from + count) };
  }

  #addRow(row: IdRow, nowMs: number): RowCells {
    const tr = document.createElement("tr");
    const texts = ID_COLUMNS.map(({ name }) => {
      const cell = tr.insertCell();
      cell.className = name;
      return { cell, shown: "" };
    });
    const dataCell = tr.insertCell();
    dataCell.className = "data";
    const note = document.createElement("span");
    note.textContent = dataNote(row);
    dataCell.append(note);
    const cells: RowCells = { tr, texts, dataCell, note, bytes: [], shownBytes: 0 };
    this.#cells.set(row.key, cells);
    this.#drawRow(row, nowMs);
    return cells;
  }

  #drawRow(row: IdRow, nowMs: number): void {
    const cells = this.#cells.get(row.key);
    if (!cells) return;
    ID_COLUMNS.forEach((column, i) => {
      const text = cells.texts[i]!;
      const wanted = column.text(row, nowMs);
      if (wanted === text.shown) return;
      text.shown = wanted;
      text.cell.textContent = wanted;
    });
    drawBytes(cells, row, nowMs);
  }
}

function drawBytes(cells: RowCells, row: IdRow, nowMs: number): void {
  const length = isRemoteWord(row.idWord) ? 0 : row.length;
  while (cells.bytes.length < length) addByte(cells);
  while (cells.shownBytes < length) cells.bytes[cells.shownBytes++]!.span.hidden = false;
  while (cells.shownBytes > length) cells.bytes[--cells.shownBytes]!.span.hidden = true;
  for (let i = 0; i < length; i++) {
    const cell = cells.bytes[i]!;
    const byte = row.data[i]!;
    if (byte !== cell.shown) {
      cell.shown = byte;
      cell.span.textContent = formatByte(byte);
    }
    const mark = nowMs - row.changedMs[i]! > MARK_MS ? "byte" : row.direction[i]! > 0 ? "byte up" : "byte down";
    if (mark !== cell.mark) {
      cell.mark = mark;
      cell.span.className = mark;
    }
  }
}

function addByte(cells: RowCells): void {
  const span = document.createElement("span");
  span.className = "byte";
  span.hidden = true;
  cells.dataCell.append(span);
  cells.bytes.push({ span, shown: -1, mark: "byte" });
}
