import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  edgeFilePath,
  isServerName,
  loadAuthority,
  machineNames,
  namesIn,
  NO_EDGES,
  readEdgeFile,
  serverChain,
  sha256Of,
  updateEdgeFile,
  writePrivateFile,
} from "@canfleet/hub/pki";
import { CanfleetError, messageOf } from "@canfleet/sdk";
import { UsageError } from "./usage-error.ts";

/** One line of `canfleet key ls`. */
interface KeyRow {
  kind: "authority" | "server" | "edge" | "token";
  name: string;
  /** SHA-256 of a certificate; of a token nothing is shown. */
  sha256: string | null;
  until: string;
}

/** Authority, server, edges and open tokens of a hub's folder, a line each, or as JSON. */
export async function listKeys(folder: string, json: boolean): Promise<string> {
  const list = (await readEdgeFile(edgeFilePath(folder))) ?? NO_EDGES;
  const rows: KeyRow[] = [
    ...(await certificateRow("authority", join(folder, "ca.crt"))),
    ...(await certificateRow("server", join(folder, "server.crt"))),
    ...[...list.edges]
      .sort(byName)
      .flatMap(([name, certificates]) =>
        certificates.map(({ sha256, toMs }): KeyRow => ({ kind: "edge", name, sha256, until: iso(toMs) })),
      ),
    ...[...list.tokens]
      .sort(byName)
      .map(([name, { toMs }]): KeyRow => ({ kind: "token", name, sha256: null, until: iso(toMs) })),
  ];
  if (json) return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const width = Math.max(0, ...rows.map(({ name }) => name.length));
  return rows
    .map(({ kind, name, sha256, until }) => {
      const shown = sha256 === null ? "not used yet" : sha256.slice(0, 16);
      const end = Date.parse(until) > Date.now() ? `until ${until}` : `ended ${until}`;
      return `${kind.padEnd(9)}  ${name.padEnd(width)}  ${shown.padEnd(16)}  ${end}\n`;
    })
    .join("");
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Hubs without certificates have no such row. */
async function certificateRow(kind: "authority" | "server", path: string): Promise<KeyRow[]> {
  let pem: string;
  try {
    pem = await readFile(path, "utf8");
  } catch {
    return [];
  }
  try {
    const { subject, fingerprint256, validTo } = new X509Certificate(pem);
    const name = subject.replace(/^CN=/, "");
    return [{ kind, name, sha256: sha256Of(fingerprint256), until: iso(Date.parse(validTo)) }];
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", `${path}: expected a certificate, PEM (${messageOf(error)})`);
  }
}

function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}Z`;
}

/**
 * Takes away the certificates and the token of an edge.
 *
 * @throws UsageError when it has neither
 */
export async function removeKeys(folder: string, name: string): Promise<void> {
  await updateEdgeFile(edgeFilePath(folder), ({ edges, tokens }) => {
    const had = [edges.delete(name), tokens.delete(name)];
    if (!had.includes(true)) throw new UsageError(`there is no ${name}`, "key");
  });
}

/**
 * Makes a new key and certificate for the hub, for the names in the present one, those that this machine has got since,
 * and `names`.
 *
 * @returns when it ends
 */
export async function rotateServerKey(folder: string, names: readonly string[]): Promise<Date> {
  const wrong = names.find((name) => !isServerName(name));
  if (wrong !== undefined) throw new UsageError(`--name ${wrong}: expected a host name or an IP address`, "key");
  const authority = await loadAuthority(folder);
  const present = await readFile(join(folder, "server.crt"), "utf8").then(
    (pem) => namesIn(new X509Certificate(pem)),
    () => [],
  );
  const { certificate, privateKey } = authority.makeServer([...new Set([...present, ...names, ...machineNames()])]);
  // A hub that looks in between goes on with what it has, and looks again.
  await writePrivateFile(join(folder, "server.key"), privateKey);
  await writePrivateFile(join(folder, "server.crt"), serverChain(certificate, authority.certificate));
  return new Date(new X509Certificate(certificate).validTo);
}
