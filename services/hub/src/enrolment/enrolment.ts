import { X509Certificate, type KeyObject } from "node:crypto";
import { CanfleetError, isCanfleetError, isEdgeName, messageOf } from "@canfleet/sdk";
import { hashSecret, sha256Of, updateEdgeFile, type EdgeCertificate, type EdgeDraft } from "../access/edge-list.ts";
import type { EdgeFile } from "../access/edge-registry.ts";
import type { ClientCertificate } from "../access/identity.ts";
import type { HubLog } from "../log.ts";
import { loadAuthority, type Authority } from "../pki/authority.ts";
import { readCertificateRequest } from "../pki/certificate-request.ts";

/** Certificates of one edge that count at a time at most. */
const MAX_CERTIFICATES = 4;
/** Least time between two renewals of an edge, ms. */
const RENEWAL_PAUSE_MS = 60_000;

/** A certificate that was signed, and counts: both PEM. */
export interface Signed {
  name: string;
  certificate: string;
  ca: string;
}

/** Why nothing was signed; the words of docs/enrolment.md. */
export type EnrolmentRefusal = "malformed" | "refused" | "later" | "failed";

/** Signs edges' keys: for whoever has a token, and for whoever has a certificate already. */
export class Enrolment {
  readonly #dataDir: string;
  readonly #edges: EdgeFile;
  readonly #log: HubLog;

  /** @param dataDir the hub's folder, with `ca.crt` and `ca.key` */
  constructor(dataDir: string, edges: EdgeFile, log: HubLog) {
    this.#dataDir = dataDir;
    this.#edges = edges;
    this.#log = log;
  }

  /** Signs for the edge of a token, which is used up by it. All former certificates of this edge stop counting. */
  enrol(name: string, secret: string, request: string): Promise<Signed | EnrolmentRefusal> {
    const hash = hashSecret(secret);
    const isGood = (tokens: EdgeDraft["tokens"] | EdgeFile["tokens"]): boolean => {
      const token = tokens.get(name);
      return token?.sha256 === hash && token.toMs > Date.now();
    };
    return this.#answer(async () => {
      if (!isEdgeName(name) || !(await this.#finds(() => isGood(this.#edges.tokens)))) return "refused";
      return this.#sign(name, request, (draft, certificate) => {
        if (!isGood(draft.tokens)) throw refused();
        draft.tokens.delete(name);
        draft.edges.set(name, [certificate]);
      });
    });
  }

  /** Signs once more for an edge that shows a certificate which counts. */
  renew(shown: ClientCertificate, request: string): Promise<Signed | EnrolmentRefusal> {
    const { name, fingerprint256 } = shown;
    const sha256 = sha256Of(fingerprint256);
    return this.#answer(async () => {
      if (!(await this.#finds(() => this.#edges.edgeOf(fingerprint256) === name))) return "refused";
      if (!(await this.#finds(() => !this.#edges.certificatesOf(name).some(isRecent)))) return "later";
      return this.#sign(name, request, (draft, certificate) => {
        const known = draft.edges.get(name) ?? [];
        if (!known.some((other) => other.sha256 === sha256)) throw refused();
        const others = known.filter((other) => other.sha256 !== sha256 && other.toMs > Date.now());
        const own = known.filter((other) => other.sha256 === sha256);
        draft.edges.set(name, [...others.slice(-(MAX_CERTIFICATES - 2)), ...own, certificate]);
      });
    });
  }

  /** What was changed in the file a moment ago, a token that was made, may not have been read yet. */
  async #finds(isThere: () => boolean): Promise<boolean> {
    if (isThere()) return true;
    await this.#edges.look();
    return isThere();
  }

  async #sign(
    name: string,
    request: string,
    note: (draft: EdgeDraft, certificate: EdgeCertificate) => void,
  ): Promise<Signed> {
    const key: KeyObject = readCertificateRequest(request);
    const authority: Authority = await loadAuthority(this.#dataDir);
    const certificate = authority.signEdge(name, key);
    const { fingerprint256, validTo } = new X509Certificate(certificate);
    const noted = { sha256: sha256Of(fingerprint256), fromMs: Date.now(), toMs: Date.parse(validTo) };
    await updateEdgeFile(this.#edges.path, (draft) => note(draft, noted));
    await this.#edges.look();
    this.#log("info", `edge ${name} has a new certificate, good until ${validTo}`);
    return { name, certificate, ca: authority.certificate };
  }

  async #answer(work: () => Promise<Signed | EnrolmentRefusal>): Promise<Signed | EnrolmentRefusal> {
    try {
      return await work();
    } catch (error) {
      if (isCanfleetError(error, "WIRE_BAD_REQUEST")) return "malformed";
      if (isCanfleetError(error, "HUB_REFUSED")) return "refused";
      this.#log("error", `no certificate could be made: ${messageOf(error)}`);
      return "failed";
    }
  }
}

function isRecent({ fromMs }: EdgeCertificate): boolean {
  const ageMs = Date.now() - fromMs;
  return ageMs >= 0 && ageMs < RENEWAL_PAUSE_MS;
}

/** Somebody else was faster. */
function refused(): CanfleetError {
  return new CanfleetError("HUB_REFUSED", "the token or certificate does not count any more");
}
