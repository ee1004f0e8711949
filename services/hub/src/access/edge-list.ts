import { createHash } from "node:crypto";
import { join } from "node:path";
import { CanfleetError, isEdgeName } from "@canfleet/sdk";
import { readPrivateFile, withFileLock, writePrivateFile } from "./private-file.ts";

/** Name of the file in the hub's data folder. */
export const EDGES_FILE = "edges.json";
const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** A certificate that counts: docs/enrolment.md. */
export interface EdgeCertificate {
  /** SHA-256 of the whole certificate (DER), 64 hex digits, lower case. */
  readonly sha256: string;
  /** When it was signed and when it ends, ms since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** What is kept of a token with which an edge may fetch a certificate once. */
export interface EdgeToken {
  /** SHA-256 of the secret in it, 64 hex digits. */
  readonly sha256: string;
  /** When it ends, ms since 1970. */
  readonly toMs: number;
}

/** Every edge with a certificate, and the tokens that were not used yet, by the edges' names. */
export interface EdgeList {
  readonly edges: ReadonlyMap<string, readonly EdgeCertificate[]>;
  readonly tokens: ReadonlyMap<string, EdgeToken>;
}

/** What changes a list: the maps are its own. */
export interface EdgeDraft {
  edges: Map<string, readonly EdgeCertificate[]>;
  tokens: Map<string, EdgeToken>;
}

export const NO_EDGES: EdgeList = { edges: new Map(), tokens: new Map() };

export function edgeFilePath(dataFolder: string): string {
  return join(dataFolder, EDGES_FILE);
}

/** What the list keeps of a fingerprint as Node writes it, `AB:CD:…`. */
export function sha256Of(fingerprint256: string): string {
  return fingerprint256.replaceAll(":", "").toLowerCase();
}

/** What the list keeps of a token's secret. 256 random bits need no slow hash. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/**
 * Reads the file; undefined when there is none.
 *
 * @throws CanfleetError `CONFIG_INVALID` when others on this machine can read it, or naming what is wrong in it
 */
export async function readEdgeFile(path: string): Promise<EdgeList | undefined> {
  const text = await readPrivateFile(path, MAX_FILE_BYTES);
  return text === undefined ? undefined : parseEdges(path, text);
}

/**
 * Reads, changes and writes the file while no other command or hub does.
 *
 * @param change throws what it does not like; then nothing is written
 * @returns what `change` returns, once it is on the disk
 * @throws CanfleetError `CONFIG_INVALID`, `TEXT_NO_FILE`
 */
export function updateEdgeFile<T>(path: string, change: (draft: EdgeDraft) => T): Promise<T> {
  return withFileLock(path, async (lock) => {
    const before = await readEdgeFile(path);
    const draft = { edges: new Map(before?.edges), tokens: new Map(before?.tokens) };
    const result = change(draft);
    await lock.assertHeld();
    await writePrivateFile(path, formatEdges(draft));
    return result;
  });
}

function formatEdges({ edges, tokens }: EdgeList): string {
  const iso = (ms: number): string => new Date(ms).toISOString();
  const shown = {
    v: 1,
    edges: Object.fromEntries(
      [...edges].map(([name, list]) => [
        name,
        list.map(({ sha256, fromMs, toMs }) => ({ sha256, from: iso(fromMs), to: iso(toMs) })),
      ]),
    ),
    tokens: Object.fromEntries([...tokens].map(([name, { sha256, toMs }]) => [name, { sha256, to: iso(toMs) }])),
  };
  return `${JSON.stringify(shown, null, 2)}\n`;
}

function parseEdges(path: string, text: string): EdgeList {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(path, "not JSON");
  }
  if (!isObject(value) || value.v !== 1) throw invalid(path, 'expected an object with "v": 1');
  const reader = new EntryReader(path);
  return {
    edges: reader.section("edges", value.edges, (certificates, where) => {
      if (!Array.isArray(certificates)) throw invalid(path, `${where}: expected a list of certificates`);
      return certificates.map((entry, i) => {
        const at = `${where}[${i}]`;
        const fields = reader.object(entry, at);
        return {
          sha256: reader.hash(fields.sha256, at),
          fromMs: reader.time(fields.from, `${at}.from`),
          toMs: reader.time(fields.to, `${at}.to`),
        };
      });
    }),
    tokens: reader.section("tokens", value.tokens, (entry, where) => {
      const fields = reader.object(entry, where);
      return { sha256: reader.hash(fields.sha256, where), toMs: reader.time(fields.to, `${where}.to`) };
    }),
  };
}

/** Checks one piece of the file after the other, and names the piece that is wrong. */
class EntryReader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  section<E>(name: string, value: unknown, read: (entry: unknown, where: string) => E): ReadonlyMap<string, E> {
    const entries = value === undefined ? {} : this.object(value, name);
    return new Map(
      Object.entries(entries).map(([edge, entry]) => {
        const where = `${name}.${JSON.stringify(edge)}`;
        if (!isEdgeName(edge)) throw invalid(this.#path, `${where}: no edge can be called that`);
        return [edge, read(entry, where)];
      }),
    );
  }

  object(value: unknown, where: string): { [key: string]: unknown } {
    if (isObject(value)) return value;
    throw invalid(this.#path, `${where}: expected an object`);
  }

  hash(value: unknown, where: string): string {
    if (typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) return value;
    throw invalid(this.#path, `${where}.sha256: expected 64 hex digits`);
  }

  time(value: unknown, where: string): number {
    const ms = typeof value === "string" ? Date.parse(value) : NaN;
    if (Number.isFinite(ms)) return ms;
    throw invalid(this.#path, `${where}: expected a time such as 2026-11-27T08:00:00.000Z`);
  }
}

function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(path: string, what: string): CanfleetError {
  return new CanfleetError("CONFIG_INVALID", `${path}: ${what}`);
}
