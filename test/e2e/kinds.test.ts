import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

relayGuestTests("every kind of frame", fileURLToPath(new URL("kinds.guest.js", import.meta.url)), {
  limitSeconds: 240,
});
