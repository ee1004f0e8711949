import { randomBytes, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { CanfleetError, isEdgeName } from "@canfleet/sdk";
import { edgeFilePath, hashSecret, loadAuthority, namesIn, sha256Of, updateEdgeFile } from "@canfleet/hub/pki";
import type { HostPort } from "./address.ts";
import type { Arguments } from "./command-spec.ts";
import { EDGE_NAME_WANTED, type HubSettings } from "./config/schema.ts";
import type { Context } from "./context.ts";
import { dataFolder, loadHubSettings } from "./data-folder.ts";
import { DEFAULT_HTTPS_PORT, encodeEnrolToken, HTTPS_URL_WANTED, MAX_URLS, parseHttpsUrl } from "./enroll-token.ts";
import { show } from "./enrolment-client.ts";
import { EXIT_DONE } from "./exit-codes.ts";
import { fileError } from "./file-error.ts";
import type { ENROLL } from "./table/access.ts";
import { UsageError } from "./usage-error.ts";

const SECRET_BYTES = 32;
const LOOPBACK = /^(localhost|127\..*|::1|0:0:0:0:0:0:0:1)$/;

/** `canfleet enroll NAME`: a token for one edge. */
export async function runEnrollHub(
  name: string,
  { options }: Arguments<typeof ENROLL>,
  context: Context,
): Promise<number> {
  const { terminal } = context;
  if (!isEdgeName(name)) throw new UsageError(`name ${name}: expected ${EDGE_NAME_WANTED}`, "enroll");
  const folder = await dataFolder(options, context);
  const { hub } = await loadHubSettings(options, context);
  const authority = await loadAuthority(folder);
  const urls = options.url.length > 0 ? options.url.map(givenUrl) : await urlsOf(folder, hub);
  if (urls.length > MAX_URLS) throw new UsageError(`--url: at most ${MAX_URLS}`, "enroll");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const endsMs = Date.now() + options.minutes * 60_000;
  const has = await updateEdgeFile(edgeFilePath(folder), ({ edges, tokens }) => {
    for (const [other, { toMs }] of tokens) if (toMs <= Date.now()) tokens.delete(other);
    tokens.set(name, { sha256: hashSecret(secret), toMs: endsMs });
    return edges.has(name);
  });
  const fingerprint = sha256Of(authority.fingerprint256);
  // Only now: a token that the hub does not know would be worth nothing.
  terminal.write(`${encodeEnrolToken({ name, urls, fingerprint, secret, endsMs })}\n`);
  terminal.say(`a token for ${name} at ${urls[0]!}, for one use within ${options.minutes} minutes`);
  if (has) terminal.say(`${name} has a certificate already; it counts until this token is used`);
  if (urls.every((url) => LOOPBACK.test(parseHttpsUrl(url)!.host)))
    terminal.say("this hub listens on its own machine only: hub.tls.https in its canfleet.yaml says where");
  terminal.print("Try, on the machine of the edge (it asks for the token):\n  canfleet enroll\n");
  return EXIT_DONE;
}

function givenUrl(text: string): string {
  const address = parseHttpsUrl(text);
  if (address) return show(address);
  throw new UsageError(`--url ${text}: expected ${HTTPS_URL_WANTED}`, "enroll");
}

/** Where the hub answers HTTPS: by the names in its certificate when it listens on all addresses. */
async function urlsOf(folder: string, { tls, http }: HubSettings): Promise<string[]> {
  const address: HostPort | "off" =
    http === "off" ? "off" : (tls?.https ?? { host: "127.0.0.1", port: DEFAULT_HTTPS_PORT });
  if (address === "off")
    throw new UsageError("this hub has no HTTPS (hub.tls.https is off), which edges enrol by", "enroll");
  const { host, port } = address;
  if (port === 0) throw new UsageError("this hub takes any free port for HTTPS: --url says which", "enroll");
  const isEverywhere = host === "0.0.0.0" || host === "::";
  const names = isEverywhere ? await certifiedNames(tls?.cert ?? join(folder, "server.crt")) : [host];
  return names.slice(0, MAX_URLS).map((name) => show({ host: name, port }));
}

async function certifiedNames(path: string): Promise<string[]> {
  let pem: string;
  try {
    pem = await readFile(path, "utf8");
  } catch (error) {
    throw fileError(path, error);
  }
  let names: string[];
  try {
    names = namesIn(new X509Certificate(pem));
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", `${path}: expected a certificate, PEM`, { cause: error });
  }
  const others = names.filter((name) => !LOOPBACK.test(name));
  // Names outlive a change of address.
  const isName = (name: string): boolean => isIP(name) === 0;
  return others.length > 0 ? [...others.filter(isName), ...others.filter((name) => !isName(name))] : names;
}
