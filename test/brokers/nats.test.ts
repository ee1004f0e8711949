import { skipWithout } from "../e2e/support/strangers.ts";
import { checkEngine, checkLedger } from "./checks.ts";
import { startHubOn, startNats } from "./engines.ts";

const skip = skipWithout("nats-server");

checkEngine("a NATS cluster of three", skip, async () => startHubOn(await startNats()));
checkLedger("R32", "a NATS cluster of three", skip, startNats);
