// Writes car.dbc and boat.dbc anew from the tables of the simulated buses: npm run build && node services/edge/dbc/generate.mjs
import { writeFileSync } from "node:fs";
import { dbcFiles } from "../dist/drivers/sim/worlds.js";

for (const [name, text] of Object.entries(dbcFiles())) writeFileSync(new URL(name, import.meta.url), text);
