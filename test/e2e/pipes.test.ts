import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

relayGuestTests("pipes to and from can-utils", fileURLToPath(new URL("pipes.guest.js", import.meta.url)), {
  vcans: 2,
  limitSeconds: 240,
});
