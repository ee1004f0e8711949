/** Reads fields of JSON that came from strangers: what is not of the wanted kind counts as absent. */
export type JsonObject = { [key: string]: unknown };

export function objectField(from: JsonObject, key: string): JsonObject {
  const value = from[key];
  return isJsonObject(value) ? value : {};
}

/** A finite number; null when absent, or when the sender does not know it either. */
export function numberField(from: JsonObject, key: string): number | null {
  const value = from[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A text, cut to `maxLength` characters; null when absent. */
export function textField(from: JsonObject, key: string, maxLength = 100): string | null {
  const value = from[key];
  return typeof value === "string" ? value.slice(0, maxLength) : null;
}

/** The texts of a list, of which the first `most` are looked at; none when it is absent. */
export function textsField(from: JsonObject, key: string, most: number): string[] {
  const value: unknown = from[key];
  const items: unknown[] = Array.isArray(value) ? value.slice(0, most) : [];
  return items.filter((item) => typeof item === "string").map((item) => item.slice(0, 100));
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object from JSON bytes; undefined when they are something else. */
export function parseJsonObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
