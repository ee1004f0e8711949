import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";
import { relayGuestTests } from "../lab/guest-tests.ts";

const drivers = new URL("../../../services/edge/dist/drivers/", import.meta.url);

// npm leaves it out on Node 20: where it must be tested (CANFLEET_REQUIRE_REAL=1) it is installed by name.
const mayBeMissing = process.env.CANFLEET_REQUIRE_REAL !== "1";
const missing = whyMissing();
if (missing === undefined) {
  relayGuestTests(
    "npm socketcan driver in a guest with SocketCAN",
    fileURLToPath(new URL("socketcan-driver.guest.js", drivers)),
  );
} else {
  test("npm socketcan driver in a guest with SocketCAN", { skip: mayBeMissing && missing }, () => {
    assert.fail(missing);
  });
}

function whyMissing(): string | undefined {
  try {
    createRequire(drivers).resolve("socketcan");
    return undefined;
  } catch {
    return "npm's socketcan is not installed: npm install --no-save socketcan@4.3.1";
  }
}
