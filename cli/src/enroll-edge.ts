import { createPrivateKey } from "node:crypto";
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { CanfleetError, isCanfleetError } from "@canfleet/sdk";
import { makeCertificateRequest, makePrivateKey, writePrivateFile } from "@canfleet/hub/pki";
import type { HostPort } from "./address.ts";
import { readSecret } from "./ask-password.ts";
import type { Arguments } from "./command-spec.ts";
import type { Context } from "./context.ts";
import { SETTINGS_FILE } from "./data-folder.ts";
import { decodeEnrolToken, HTTPS_URL_WANTED, parseHttpsUrl, type EnrolToken } from "./enroll-token.ts";
import { askForCertificate, findAuthority, show, type EnrolmentAnswer } from "./enrolment-client.ts";
import { EXIT_DONE } from "./exit-codes.ts";
import { makeFolder } from "./hub-folder.ts";
import type { ENROLL } from "./table/access.ts";
import { UsageError } from "./usage-error.ts";

const PEM_FILE = "edge.pem";
const CA_FILE = "ca.crt";

/** `canfleet enroll`: a key and a certificate for this machine. */
export async function runEnrollEdge({ options }: Arguments<typeof ENROLL>, context: Context): Promise<number> {
  const { terminal, cwd } = context;
  const token = await readToken(options, context);
  const hubs = options.hub === undefined ? token.urls.map(known) : [given(options.hub)];
  const folder = resolve(cwd, options.dir);
  const pemFile = join(folder, PEM_FILE);
  if (existsSync(pemFile) && !options.replace) {
    throw new CanfleetError("TEXT_NO_FILE", `${pemFile}: is there already; --replace makes a new key and certificate`);
  }
  // Before the token is used up: what comes for it must have a place.
  await makeFolder(folder);
  const caFile = join(folder, CA_FILE);
  const { hub, ca } = await findHub(hubs, token.fingerprint);
  await writePrivateFile(caFile, ca);
  const privateKey = makePrivateKey();
  const { name, secret } = token;
  const request = makeCertificateRequest(name, createPrivateKey(privateKey));
  const body = { v: 1, name, secret, request };
  const answer = await askForCertificate(hub, "/api/enroll", body, { ca }, { name, privateKey });
  await writePrivateFile(pemFile, `${privateKey}${answer.certificate}`);
  const until = answer.validTo.toISOString().slice(0, 10);
  terminal.say(`this is ${name} now, at ${show(hub)}; its certificate is good until ${until}, and renewed before`);
  await writeSettings(folder, settingsText(name, hub, answer, { caFile, pemFile }), context);
  return EXIT_DONE;
}

function known(url: string): HostPort {
  return parseHttpsUrl(url)!;
}

function given(text: string): HostPort {
  const address = parseHttpsUrl(text);
  if (address) return address;
  throw new UsageError(`--hub ${text}: expected ${HTTPS_URL_WANTED}`, "enroll");
}

async function readToken(options: Arguments<typeof ENROLL>["options"], context: Context): Promise<EnrolToken> {
  const text = options.token ?? (await readSecret("Token: ", options["token-file"], "CANFLEET_ENROLL_TOKEN", context));
  const token = decodeEnrolToken(text);
  // Not a word of it: it is a secret.
  if (!token)
    throw new UsageError("the token is none, or not all of it: it is one line that begins with cfe1_", "enroll");
  if (token.endsMs > Date.now()) return token;
  const ended = new Date(token.endsMs).toISOString();
  throw new CanfleetError("HUB_REFUSED", `the token ended at ${ended}, or the clock here is wrong; nothing was sent`);
}

/**
 * The first hub that shows the authority of the token.
 *
 * @throws CanfleetError `HUB_REFUSED` when hubs answer and none of them is the one; `HUB_UNREACHABLE` when none answers
 */
async function findHub(hubs: readonly HostPort[], fingerprint: string): Promise<{ hub: HostPort; ca: string }> {
  const strangers: string[] = [];
  const silent: string[] = [];
  for (const hub of hubs) {
    try {
      const ca = await findAuthority(hub, fingerprint);
      if (ca !== undefined) return { hub, ca };
      strangers.push(show(hub));
    } catch (error) {
      if (!isCanfleetError(error)) throw error;
      silent.push(error.message);
    }
  }
  if (strangers.length === 0) throw new CanfleetError("HUB_UNREACHABLE", silent.join("\n  "), { retryable: true });
  throw new CanfleetError(
    "HUB_REFUSED",
    `${strangers.join(", ")}: not the hub of this token, by the fingerprint of its authority; nothing was sent`,
  );
}

function settingsText(
  name: string,
  hub: HostPort,
  { mqttPort }: EnrolmentAnswer,
  { caFile, pemFile }: { caFile: string; pemFile: string },
): string {
  return `# Made by canfleet enroll. All settings there are: docs/configuration.md
edge:
  name: ${JSON.stringify(name)}
  hub: ${show({ host: hub.host, port: mqttPort }).replace("https", "mqtts")}
  tls:
    ca: ${JSON.stringify(caFile)}
    cert: ${JSON.stringify(pemFile)} # key and certificate in one file
    key: ${JSON.stringify(pemFile)}
    renew: ${show(hub)} # where a new certificate comes from before this one ends
  # Instead of naming a bus on the command line:
  # buses:
  #   - { channel: can0, send: none }
`;
}

/** Settings that somebody may have changed are kept. */
async function writeSettings(folder: string, text: string, { terminal, cwd }: Context): Promise<void> {
  const file = join(folder, SETTINGS_FILE);
  const isKept = existsSync(file);
  if (!isKept) await writePrivateFile(file, text);
  const shown = relative(cwd, file);
  if (isKept) {
    terminal.say(`${shown} was kept as it is; for this hub it needs`);
    terminal.write(text);
  }
  terminal.print(`Try:\n  canfleet edge can0 --config ${shown}\n`);
}
