// Runs in a guest with vcan, which test/drivers/socketcan-driver.test.ts boots.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { runCanInterfaceSuite } from "./can-interface.suite.ts";
import { runKernelSuite } from "./kernel.suite.ts";
import { createNativeDriver } from "./native-driver.ts";
import { createSocketcanDriver } from "./socketcan-driver.ts";

const run = promisify(execFile);

runCanInterfaceSuite({
  name: "npm socketcan driver",
  create: () => createSocketcanDriver("vcan0"),
  other: () => createNativeDriver("vcan0"),
  createMissing: () => createSocketcanDriver("can99"),
  injectError: async (idWord, data) => {
    await run("cansend", ["vcan0", `${idWord.toString(16).padStart(8, "0")}#${Buffer.from(data).toString("hex")}`]);
  },
  rawDlc: false,
  sendsEsi: false,
});

runKernelSuite({
  name: "npm socketcan driver",
  create: (channel) => createSocketcanDriver(channel),
  other: (channel) => createNativeDriver(channel),
});
