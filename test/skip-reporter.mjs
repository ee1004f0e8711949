/** A reporter for `node --test` that writes each skipped test as a line of JSON: `{ name, file, reason }`. */
export default async function* skipReporter(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    // An empty reason still is a skip: node gives true, or the text that the test gave.
    if (data.skip === undefined || data.skip === false) continue;
    const reason = typeof data.skip === "string" && data.skip !== "" ? data.skip : "no reason given";
    yield `${JSON.stringify({ name: data.name, file: data.file ?? "", reason })}\n`;
  }
}
