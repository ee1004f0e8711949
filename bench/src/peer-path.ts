import { Child } from "./child.ts";
import { LinkPath } from "./link-path.ts";
import { programPath } from "./paths.ts";
import type { PeerAppOptions } from "./programs/peer-app.ts";
import type { Rig } from "./rig.ts";

/**
 * cannelloni's sending end → UDP → app. There is no receiving cannelloni, which would write the frames to another bus.
 *
 * @param timeoutUs how long a frame may wait for company, µs; default: cannelloni's own, 100 ms
 */
export async function startCannelloniPath(rig: Rig, program: string, timeoutUs?: number): Promise<LinkPath> {
  const { app, port } = await startPeerApp({ peer: "cannelloni" });
  const remote = ["-R", "127.0.0.1", "-r", `${port}`];
  // Any port: nothing is sent to it.
  const local = ["-L", "127.0.0.1", "-l", "0"];
  const timeout = timeoutUs === undefined ? [] : ["-t", `${timeoutUs}`];
  const command = [program, "-I", rig.channel(), ...remote, ...local, ...timeout];
  return new LinkPath(rig, [new Child("cannelloni", command, { env: rig.environment(program) })], app);
}

/** It takes no port that was used a moment ago (no SO_REUSEADDR), and must not get one that a client may have. */
let socketcandPort = 27_000;

/** socketcand → TCP → app. */
export async function startSocketcandPath(rig: Rig, program: string): Promise<LinkPath> {
  const channel = rig.channel();
  const { app, port } = await startPeerApp({ peer: "socketcand", port: socketcandPort++, channel });
  // -n: no beacon, which would be broadcast.
  const command = [program, "-n", "-i", channel, "-l", "lo", "-p", `${port}`];
  return new LinkPath(rig, [new Child("socketcand", command, { env: rig.environment(program) })], app);
}

async function startPeerApp(options: PeerAppOptions): Promise<{ app: Child; port: number }> {
  const app = new Child("peer app", [process.execPath, programPath("peer-app"), JSON.stringify(options)]);
  const { port } = await app.line<{ port: number }>();
  return { app, port };
}
