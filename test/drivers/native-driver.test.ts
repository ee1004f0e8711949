import { fileURLToPath } from "node:url";
import { relayGuestTests } from "../lab/guest-tests.ts";

const drivers = new URL("../../../services/edge/dist/drivers/", import.meta.url);

relayGuestTests("native driver in a guest with SocketCAN", fileURLToPath(new URL("native-driver.guest.js", drivers)), {
  vxcans: 1,
});
