import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMANDS } from "./command-table.ts";
import { defineCommand } from "./command-spec.ts";
import { parseCommand } from "./parse.ts";
import { DUMP, PLAY, SEND } from "./table/frames.ts";
import { EDGE } from "./table/run.ts";
import { UsageError } from "./usage-error.ts";

describe("a command line", () => {
  it("takes letters as can-utils writes them, value attached or apart", () => {
    const { options, positionals } = parseCommand(DUMP, ["pi-7/can0", "-ta", "-xc", "-n", "2", "vcan0", "-T500"]);
    assert.deepEqual(positionals, ["pi-7/can0", "vcan0"]);
    assert.equal(options.time, "a");
    assert.equal(options.count, 2);
    assert.equal(options.timeout, 500);
    assert.equal(options.extra, true);
    assert.equal(options.coloured, true);
    assert.equal(options.log, false);
  });

  it("takes long names with the value behind = or apart", () => {
    const { options } = parseCommand(SEND, ["can0", "123#", "--ttl=200", "--count", "3"]);
    assert.equal(options.ttl, 200);
    assert.equal(options.count, 3);
  });

  it("gives every option its default", () => {
    const { options } = parseCommand(SEND, ["can0", "123#"]);
    const client = { hub: [], ca: undefined, base: undefined, "link-token-file": undefined };
    assert.deepEqual({ ...options }, { gap: 0, count: 1, ttl: 500, wait: false, json: false, ...client });
  });

  it("collects an option that may be repeated", () => {
    const { options } = parseCommand(EDGE, ["--bus", "can0", "-b", "can1=engine"]);
    assert.deepEqual(options.bus, ["can0", "can1=engine"]);
  });

  it("leaves everything behind -- alone", () => {
    assert.deepEqual(parseCommand(PLAY, ["--", "-odd-name.log"]).positionals, ["-odd-name.log"]);
  });

  it("takes - as a file and as an option's value", () => {
    const spec = defineCommand({ ...PLAY, options: { file: { kind: "text", value: "FILE", letter: "f", help: "" } } });
    const { options, positionals } = parseCommand(spec, ["-", "-f", "-"]);
    assert.deepEqual([positionals, options.file], [["-"], "-"]);
  });
});

const REFUSED: readonly { spec: typeof DUMP | typeof SEND | typeof EDGE; args: string[]; says: RegExp }[] = [
  { spec: DUMP, args: [], says: /^dump needs BUS/ },
  { spec: DUMP, args: ["can0", "--cuont", "3"], says: /^dump has no option --cuont; did you mean --count\?$/ },
  { spec: DUMP, args: ["can0", "-Q"], says: /^dump has no option -Q$/ },
  { spec: DUMP, args: ["can0", "--constructor"], says: /^dump has no option --constructor$/ },
  { spec: DUMP, args: ["can0", "-n", "0"], says: /^-n 0: expected a whole number of at least 1$/ },
  { spec: DUMP, args: ["can0", "-n", "1.5"], says: /^-n 1.5: expected a whole number/ },
  { spec: DUMP, args: ["can0", "-n", "0x10"], says: /^-n 0x10: expected a whole number/ },
  { spec: DUMP, args: ["can0", "-n", ""], says: /^-n : expected a whole number/ },
  { spec: DUMP, args: ["can0", "-t", "q"], says: /^-t q: expected one of a, d, z, A$/ },
  { spec: DUMP, args: ["can0", "-t"], says: /^-t needs a value: a\|d\|z\|A$/ },
  { spec: DUMP, args: ["can0", "--hub", "--json"], says: /^--hub needs a value: URL$/ },
  { spec: DUMP, args: ["can0", "--json=yes"], says: /^--json takes no value$/ },
  { spec: SEND, args: ["can0"], says: /^send needs FRAME/ },
  { spec: SEND, args: ["can0", "123#", "--ttl", "60001"], says: /^--ttl 60001: expected .* from 1 to 60000 \(ms\)$/ },
  { spec: EDGE, args: ["can0", "host", "5000", "more"], says: /^edge does not take a further argument "more"$/ },
];

describe("a command line that is wrong", () => {
  for (const { spec, args, says } of REFUSED) {
    it(`canfleet ${spec.name} ${args.join(" ")}`, () => {
      assert.throws(
        () => parseCommand(spec, args),
        (error) => error instanceof UsageError && error.command === spec.name && says.test(error.message),
      );
    });
  }
});

describe("the table of commands", () => {
  for (const { name, options } of COMMANDS) {
    it(`gives each letter of ${name} one meaning and leaves -h to help`, () => {
      const letters = Object.values(options).flatMap(({ letter }) => letter ?? []);
      assert.deepEqual(letters, [...new Set(letters)]);
      assert.ok(!letters.includes("h") && !("help" in options));
    });
  }
});
