import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runInGuest, skipWithoutGuest } from "./uml.ts";

describe("the guest", { skip: skipWithoutGuest() }, () => {
  it("carries a frame from cansend to candump and hands back output and exit code", async () => {
    // candump says nothing when it is ready: frames go out until it has one and ends.
    const sendUntilSeen = "while kill -0 $! 2>/dev/null; do cansend vcan0 123##31122; sleep 0.1; done";
    const script = `candump -n 1 -L vcan0 & ${sendUntilSeen}; echo for people >&2; exit 7`;
    const result = await runInGuest(["sh", "-c", script]);
    assert.match(result.stdout, /vcan0 123##[37]1122\n$/);
    assert.match(result.stderr, /for people/);
    assert.equal(result.code, 7);
  });

  it("ends a command that runs over its time limit with code 124", async () => {
    const result = await runInGuest(["sleep", "60"], { limitSeconds: 2 });
    assert.equal(result.code, 124);
  });

  it("passes the environment and names with spaces on", async () => {
    const result = await runInGuest(["sh", "-c", 'echo "$CANFLEET_WORDS|$1"', "sh", "it's two"], {
      env: { CANFLEET_WORDS: "a b" },
    });
    assert.equal(result.stdout, "a b|it's two\n");
  });
});
