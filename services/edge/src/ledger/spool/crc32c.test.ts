import assert from "node:assert/strict";
import { it } from "node:test";
import { crc32c } from "./crc32c.ts";

it("crc32c is what RFC 3720, B.4 says, in one piece or in two", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  for (let at = 0; at <= 32; at++) assert.equal(crc32c(ascending, at, 32, crc32c(ascending, 0, at)), 0x46dd794e);
});
