import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

relayGuestTests("an edge through outages", fileURLToPath(new URL("outages.guest.js", import.meta.url)), {
  limitSeconds: 400,
});
