import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

relayGuestTests("bridges", fileURLToPath(new URL("bridge.guest.js", import.meta.url)), { vcans: 3, limitSeconds: 240 });
