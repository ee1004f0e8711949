/**
 * A reporter for `node --test` that writes what needs a second look as lines of JSON:
 * `{ kind: "skip", name, file, reason }` for a skipped test, `{ kind: "fail", name, file, reason, isTop }` for a failed one.
 */
export default async function* outcomeReporter(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const about = { name: data.name, file: data.file ?? "" };
    // An empty reason still is a skip: node gives true, or the text that the test gave.
    if (data.skip !== undefined && data.skip !== false) {
      const reason = typeof data.skip === "string" && data.skip !== "" ? data.skip : "no reason given";
      yield `${JSON.stringify({ kind: "skip", ...about, reason })}\n`;
    } else if (type === "test:fail") {
      const error = data.details?.error;
      const reason = String(error?.cause?.message ?? error?.message ?? error);
      yield `${JSON.stringify({ kind: "fail", ...about, reason, isTop: data.nesting === 0 })}\n`;
    }
  }
}
