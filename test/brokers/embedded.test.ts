import { checkEngine } from "./checks.ts";
import { startEmbedded } from "./engines.ts";

// That the ledger balances when this one is killed is R06.
checkEngine("the hub's own broker", false, startEmbedded);
