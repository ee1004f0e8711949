import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

relayGuestTests("sends onto a real bus", fileURLToPath(new URL("sends.guest.js", import.meta.url)), {
  vcans: 5,
  limitSeconds: 300,
});
