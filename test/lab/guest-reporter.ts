import type { TestEvent } from "node:test/reporters";

/** One finished test, as a line of JSON. */
export interface GuestTest {
  name: string;
  /** 0 for tests and suites at the top of the file. */
  nesting: number;
  /** A group of tests: its own result only repeats theirs. */
  isSuite: boolean;
  /** Message and stack of a failure. */
  failure?: string;
  /** Why it did not run. */
  skip?: string;
}

/** A reporter for `node --test-reporter` that writes a `GuestTest` a line, for the host to read. */
export default async function* guestReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { name, nesting, skip, details } = event.data;
    const finished: GuestTest = { name, nesting, isSuite: details.type === "suite" };
    if (event.type === "test:fail") finished.failure = describe(event.data.details.error);
    if (skip !== undefined) finished.skip = skip === true ? "skipped" : String(skip);
    yield `${JSON.stringify(finished)}\n`;
  }
}

/** node:test wraps what the test threw; the one inside has the stack that helps. */
function describe(error: Error): string {
  const inner = error.cause;
  return inner instanceof Error ? (inner.stack ?? inner.message) : error.message;
}
