import { createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { CanfleetError } from "@canfleet/sdk";
import { distinguishedName, ECDSA_WITH_SHA256, pem, publicKeyInfo } from "./certificate.ts";
import { bits, der, DER_TAG, readDer, sequence, unsigned, type DerValue } from "./der.ts";

/** A request of ours has about 250 bytes. */
const MAX_REQUEST_CHARACTERS = 4_096;
const REQUEST = /^-----BEGIN CERTIFICATE REQUEST-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/;

/** Makes a certificate request (PKCS #10, RFC 2986) that proves who holds the key. @returns PEM */
export function makeCertificateRequest(name: string, privateKey: KeyObject): string {
  const info = sequence(
    unsigned(Buffer.of(0)),
    distinguishedName(name),
    publicKeyInfo(createPublicKey(privateKey)),
    der(0xa0), // no attributes
  );
  return pem("CERTIFICATE REQUEST", sequence(info, ECDSA_WITH_SHA256, bits(sign("sha256", info, privateKey))));
}

/**
 * Reads a request that came from a stranger. Only the key is taken from it: the hub itself decides on names, times and uses.
 *
 * @returns the P-256 key, whose owner has signed the request
 * @throws CanfleetError `WIRE_BAD_REQUEST`
 */
export function readCertificateRequest(text: string): KeyObject {
  const base64 = text.length > MAX_REQUEST_CHARACTERS ? undefined : REQUEST.exec(text)?.[1];
  if (base64 === undefined) throw badRequest("expected one PEM block CERTIFICATE REQUEST of at most 4096 characters");
  try {
    return readRequest(Buffer.from(base64, "base64"));
  } catch (error) {
    throw error instanceof CanfleetError ? error : badRequest("not a PKCS #10 request", error);
  }
}

function readRequest(bytes: Buffer): KeyObject {
  const [request] = expectTags(readDer(bytes), DER_TAG.sequence);
  const [info, algorithm, signature] = expectTags(
    readDer(request!.contents),
    DER_TAG.sequence,
    DER_TAG.sequence,
    DER_TAG.bitString,
  );
  if (!algorithm!.whole.equals(ECDSA_WITH_SHA256)) throw badRequest("expected a signature with ECDSA and SHA-256");
  const [, , keyInfo] = expectTags(readDer(info!.contents), DER_TAG.integer, DER_TAG.sequence, DER_TAG.sequence, 0xa0);
  const key = createPublicKey({ key: keyInfo!.whole, format: "der", type: "spki" });
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw badRequest("expected a key on the curve P-256");
  }
  const isSigned = signature!.contents[0] === 0 && verify("sha256", info!.whole, key, signature!.contents.subarray(1));
  if (!isSigned) throw badRequest("the signature is not by the key in it");
  return key;
}

function expectTags(values: DerValue[], ...tags: number[]): DerValue[] {
  if (values.length === tags.length && values.every(({ tag }, i) => tag === tags[i])) return values;
  throw badRequest("not a PKCS #10 request");
}

function badRequest(why: string, cause?: unknown): CanfleetError {
  return new CanfleetError("WIRE_BAD_REQUEST", `certificate request: ${why}`, { cause });
}
