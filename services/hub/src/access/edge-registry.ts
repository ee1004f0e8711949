import { messageOf } from "@canfleet/sdk";
import type { HubLog } from "../log.ts";
import { NO_EDGES, readEdgeFile, sha256Of, type EdgeCertificate, type EdgeList } from "./edge-list.ts";
import type { EdgeRegistry } from "./identity.ts";
import { fileStamp } from "./private-file.ts";

/** How often the file is looked at, ms. */
const RELOAD_MS = 1_000;

export interface EdgeFileOptions {
  /** Path of edges.json. */
  path: string;
  log: HubLog;
  /** Clock for the ends of certificates, ms since 1970. Default: the machine's. */
  nowMs?: () => number;
}

/** The edges of edges.json, read again whenever it changes until `close`. */
export class EdgeFile implements EdgeRegistry {
  readonly path: string;
  readonly #log: HubLog;
  readonly #nowMs: () => number;
  readonly #names = new Map<string, string>();
  #list: EdgeList = NO_EDGES;
  #stamp = "";
  #looking: Promise<void> = Promise.resolve();
  /** Edges that have a certificate within its time, as it was told. */
  #current = "";
  #listener: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor({ path, log, nowMs = Date.now }: EdgeFileOptions) {
    this.path = path;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** @throws CanfleetError `CONFIG_INVALID` */
  static async open(options: EdgeFileOptions): Promise<EdgeFile> {
    const file = new EdgeFile(options);
    file.#stamp = await fileStamp(options.path);
    file.#take((await readEdgeFile(options.path)) ?? NO_EDGES);
    file.#timer = setInterval(() => void file.look(), RELOAD_MS).unref();
    return file;
  }

  /** Told when certificates may not count any more: one listener. */
  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  /** Tokens that were not used yet, some of which may have ended. */
  get tokens(): EdgeList["tokens"] {
    return this.#list.tokens;
  }

  /** Certificates of an edge that are listed; some may have ended. */
  certificatesOf(name: string): readonly EdgeCertificate[] {
    return this.#list.edges.get(name) ?? [];
  }

  get size(): number {
    return this.#list.edges.size;
  }

  edgeOf(fingerprint256: string): string | undefined {
    const name = this.#names.get(sha256Of(fingerprint256));
    // One that ended since its connection was made holds while the edge has renewed it; TLS refuses it for new ones.
    return name !== undefined && this.#isCurrent(name) ? name : undefined;
  }

  #isCurrent(name: string): boolean {
    return this.#list.edges.get(name)?.some(({ toMs }) => toMs > this.#nowMs()) ?? false;
  }

  /** Reads the file again when it changed; after that, what it says counts. One that is wrong changes nothing, and is told. */
  look(): Promise<void> {
    // One after the other, so that nobody goes on while somebody else still reads.
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    const stamp = await fileStamp(this.path);
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      try {
        this.#take((await readEdgeFile(this.path)) ?? NO_EDGES);
        this.#log("info", `${this.path} was read again: ${this.size} edges`);
        this.#listener();
      } catch (error) {
        this.#log("error", `${messageOf(error)}; going on with what it said before`);
      }
    } else if (this.#currentNames() !== this.#current) {
      this.#current = this.#currentNames();
      this.#listener();
    }
  }

  #take(list: EdgeList): void {
    this.#list = list;
    this.#names.clear();
    for (const [name, certificates] of list.edges) {
      for (const { sha256 } of certificates) this.#names.set(sha256, name);
    }
    this.#current = this.#currentNames();
  }

  #currentNames(): string {
    return [...this.#list.edges.keys()].filter((name) => this.#isCurrent(name)).join();
  }

  /** Stops looking at the file. */
  close(): void {
    clearInterval(this.#timer);
  }
}
