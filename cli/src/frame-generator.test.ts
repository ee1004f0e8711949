import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameGenerator, type GeneratorOptions } from "./frame-generator.ts";
import { frameText } from "./commands/send.ts";
import { UsageError } from "./usage-error.ts";

const DEFAULTS: GeneratorOptions = {
  id: "r",
  length: undefined,
  data: "r",
  extended: false,
  fd: false,
  brs: false,
  esi: false,
  remote: false,
  mix: false,
  seed: 1,
};

function generate(options: Partial<GeneratorOptions>, count: number): string[] {
  const generator = new FrameGenerator({ ...DEFAULTS, ...options });
  return Array.from({ length: count }, () => frameText(generator.next()));
}

describe("generated frames", () => {
  const cases: [what: string, options: Partial<GeneratorOptions>, frames: string[]][] = [
    ["count ids and data up", { id: "i", data: "i", length: "2" }, ["000#0000", "001#0100", "002#0200"]],
    ["count lengths up", { id: "7", data: "FF", length: "i" }, ["007#", "007#FF", "007#FF00"]],
    ["have the length of fixed data", { id: "123", data: "DEADBEEF" }, ["123#DEADBEEF"]],
    ["cut or fill fixed data to a fixed length", { id: "123", data: "DEADBEEF", length: "2" }, ["123#DEAD"]],
    ["are extended with 8 digits of id", { id: "00000001", data: "00" }, ["00000001#00"]],
    ["are extended with -e", { id: "1", extended: true, data: "00" }, ["00000001#00"]],
    ["are remote", { id: "1", remote: true, length: "4" }, ["001#R4"]],
    [
      "are CAN FD, filled up to a length that exists",
      { id: "1", brs: true, data: "112233445566778899" },
      ["001##1112233445566778899000000"],
    ],
  ];
  for (const [what, options, frames] of cases) {
    it(what, () => assert.deepEqual(generate(options, frames.length), frames));
  }

  it("are the same for the same seed, and others for another", () => {
    assert.deepEqual(generate({ mix: true }, 50), generate({ mix: true }, 50));
    assert.notDeepEqual(generate({ mix: true }, 50), generate({ mix: true, seed: 2 }, 50));
  });

  it("are of every kind when mixed", () => {
    const frames = generate({ mix: true }, 300);
    for (const kind of [/^...#[^R#]/, /^.{8}#[^R#]/, /#R/, /##0/, /##1/, /##2/, /##3/]) {
      assert.ok(
        frames.some((frame) => kind.test(frame)),
        String(kind),
      );
    }
  });

  for (const options of [{ id: "800" }, { id: "x" }, { length: "9" }, { length: "x" }, { data: "1" }, { data: "x" }]) {
    it(`are refused for ${JSON.stringify(options)}`, () => assert.throws(() => generate(options, 1), UsageError));
  }
});
