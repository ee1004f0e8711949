import { skipWithout } from "../e2e/support/strangers.ts";
import { checkEngine, checkLedger } from "./checks.ts";
import { startHubOn, startMosquitto } from "./engines.ts";

const skip = skipWithout("mosquitto");

checkEngine("Mosquitto", skip, async () => startHubOn(await startMosquitto()));
checkLedger("R31", "Mosquitto", skip, startMosquitto);
