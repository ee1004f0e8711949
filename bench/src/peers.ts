import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Programs that canfleet is measured against; undefined where this machine has none. */
export interface Peers {
  /**
   * socketsocketcan's C++ clients. Its Python bus takes only what a 32-bit one writes, which the guest's kernel cannot
   * run: with one of each, both are measured.
   */
  seedClients: string[];
  /** The folder that holds socketsocketcan's Python package. */
  seedPython: string | undefined;
  /** A Python that has python-can. */
  python: string | undefined;
  mosquitto: string | undefined;
  cannelloni: string | undefined;
  socketcand: string | undefined;
  candump: string | undefined;
}

export interface PeerPaths {
  "seed-client"?: string[] | undefined;
  "seed-python"?: string | undefined;
  python?: string | undefined;
  mosquitto?: string | undefined;
  cannelloni?: string | undefined;
  socketcand?: string | undefined;
}

/** Takes the peers that were named, and looks for the others on PATH. */
export function findPeers(paths: PeerPaths): Peers {
  return {
    seedClients: (paths["seed-client"] ?? []).map(existing),
    seedPython: given(paths["seed-python"]),
    python: given(paths.python) ?? onPath("python3"),
    mosquitto: given(paths.mosquitto) ?? onPath("mosquitto"),
    cannelloni: given(paths.cannelloni) ?? onPath("cannelloni"),
    socketcand: given(paths.socketcand) ?? onPath("socketcand"),
    candump: onPath("candump"),
  };
}

/** One line for each peer that is not there. */
export function missingPeers(peers: Peers): string[] {
  const hints: [peer: string | undefined, text: string][] = [
    [peers.seedClients[0], "socketsocketcan's C++ client (--seed-client FILE)"],
    [peers.seedPython, "socketsocketcan's Python TCPBus (--seed-python FOLDER)"],
    [peers.mosquitto, "mosquitto (--mosquitto FILE)"],
    [peers.cannelloni, "cannelloni (--cannelloni FILE)"],
    [peers.socketcand, "socketcand (--socketcand FILE)"],
    [peers.candump, "candump (Debian: can-utils)"],
  ];
  return hints.filter(([peer]) => peer === undefined).map(([, text]) => `left out, not found: ${text}`);
}

function given(path: string | undefined): string | undefined {
  return path === undefined ? undefined : existing(path);
}

function existing(path: string): string {
  if (!existsSync(path)) throw new Error(`${path} does not exist`);
  return path;
}

function onPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}
