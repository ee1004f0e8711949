import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

relayGuestTests("a recorded log through every way out", fileURLToPath(new URL("replay.guest.js", import.meta.url)), {
  limitSeconds: 600,
});
