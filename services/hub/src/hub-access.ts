import { existsSync } from "node:fs";
import { CanfleetError, type HubLogin } from "@canfleet/sdk";
import { AccessControl, HUB_USER } from "./access/access-control.ts";
import { accessFilePath } from "./access/access-file.ts";
import { edgeFilePath } from "./access/edge-list.ts";
import { EdgeFile } from "./access/edge-registry.ts";
import { formatAddress, isLoopback, type HostPort } from "./address.ts";
import type { HubLog } from "./log.ts";

export interface AccessSettings {
  base: string;
  /** The hub's data folder. */
  dataDir: string | undefined;
  /** Lets passwords come in plain text from other machines. */
  insecureLan: boolean;
  log: HubLog;
}

/** Who is known, and by what. */
export interface HubAccess {
  readonly control: AccessControl;
  /** Edges with certificates. */
  readonly edges: EdgeFile;
  readonly dataDir: string;
  /** Stops looking at the files. */
  close(): void;
}

/**
 * Access control as the data folder has it; undefined without a folder, or without access.json and edges.json in it: then
 * everybody who reaches the hub may do everything.
 *
 * @throws CanfleetError `CONFIG_INVALID` for a folder that is not there, and for an access.json that is wrong
 */
export async function openAccess(settings: AccessSettings): Promise<HubAccess | undefined> {
  const { base, dataDir, insecureLan, log } = settings;
  if (dataDir === undefined) return undefined;
  // A misspelt folder would otherwise open the hub to everybody.
  if (!existsSync(dataDir)) {
    throw new CanfleetError("CONFIG_INVALID", `the data folder ${dataDir} does not exist`);
  }
  const path = accessFilePath(dataDir);
  const edgePath = edgeFilePath(dataDir);
  if (!existsSync(path) && !existsSync(edgePath)) {
    log("warn", `no ${path}: whoever reaches this hub may do everything; canfleet user add NAME --data ${dataDir}`);
    return undefined;
  }
  const edges = await EdgeFile.open({ path: edgePath, log });
  try {
    const control = await AccessControl.open({ base, path, log, allowPlainPasswords: insecureLan, edges });
    edges.onChange(() => control.changed());
    const close = (): void => {
      control.close();
      edges.close();
    };
    return { control, edges, dataDir, close };
  } catch (error) {
    edges.close();
    throw error;
  }
}

/** How the hub's own clients log in. */
export function ownLogin(access: AccessControl | undefined): HubLogin {
  return access ? { username: HUB_USER, password: access.hubSecret } : {};
}

/** Where a hub would listen. */
export interface ListenAddress {
  /** Names the address: "the MQTT address". */
  what: string;
  address: HostPort;
  /** Whether it speaks TLS alone. */
  isEncrypted: boolean;
}

/**
 * Whether the hub may listen there: beyond this machine only when somebody has to say who they are, encrypted or not.
 *
 * @throws CanfleetError `HUB_UNSAFE_ADDRESS`
 */
export function checkAddress(
  { what, address, isEncrypted }: ListenAddress,
  access: AccessControl | undefined,
  { insecureLan, log }: Pick<AccessSettings, "insecureLan" | "log">,
): void {
  if (isLoopback(address.host)) return;
  const where = `${what} ${formatAddress(address)}`;
  if (access?.hasIdentities) {
    // Passwords and tokens are safe there.
    if (isEncrypted) return;
    log(
      "warn",
      insecureLan
        ? `${where}: passwords, tokens and frames cross that network in plain text; whoever listens there has them`
        : `${where}: without TLS no password and no token of another machine is looked at, so nobody there gets in`,
    );
  } else if (!insecureLan) {
    throw new CanfleetError(
      "HUB_UNSAFE_ADDRESS",
      `${where} is reachable from other machines, and nobody has to say who they are: canfleet user add NAME --data DIR ` +
        "and --data DIR here, or listen on 127.0.0.1, or say --insecure-lan if everybody on that network may read and " +
        "send CAN frames",
    );
  } else if (!access) {
    log(
      "warn",
      `${where} is open to everybody on that network: ` +
        "whoever reaches it can read all frames and ask edges to send; nobody is asked who they are",
    );
  }
}
