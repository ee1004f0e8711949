import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { connect, createServer, type ConnectionOptions, type TLSSocket } from "node:tls";
import fc from "fast-check";
import { isCanfleetError } from "@canfleet/sdk";
import { Authority, makePrivateKey } from "./authority.ts";
import { makeCertificateRequest, readCertificateRequest } from "./certificate-request.ts";
import { readDer, sequence, time, unsigned } from "./der.ts";

const authority = new Authority(Authority.make("canfleet hub test"));
const stranger = new Authority(Authority.make("canfleet hub test"));
const server = authority.makeServer(["hub.local", "127.0.0.1", "::1", "fe80::1:2"]);

function edgeKeys(name: string, signer = authority, days?: number): { cert: string; key: string } {
  const key = makePrivateKey();
  return { cert: signer.signEdge(name, createPublicKey(key), days), key };
}

/** What both ends of a handshake say of the client: its certificate's common name, or why not. */
async function handshake(options: ConnectionOptions, keys = server): Promise<string> {
  const listener = createServer({
    cert: keys.certificate,
    key: keys.privateKey,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
  });
  listener.on("tlsClientError", () => undefined);
  listener.on("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => undefined);
    socket.end(String(socket.authorized ? socket.getPeerCertificate().subject.CN : socket.authorizationError));
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  try {
    const socket = connect({ host: "127.0.0.1", port, ca: authority.certificate, ...options });
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    await once(socket, "end");
    socket.destroy();
    return text;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    listener.close();
  }
}

describe("certificates", () => {
  it("are what node reads them as", () => {
    const root = new X509Certificate(authority.certificate);
    const hub = new X509Certificate(server.certificate);
    const edge = new X509Certificate(edgeKeys("pi-7").cert);
    assert.deepEqual([root.ca, hub.ca, edge.ca], [true, false, false]);
    assert.equal(root.verify(root.publicKey) && hub.verify(root.publicKey) && edge.verify(root.publicKey), true);
    assert.equal(hub.checkIssued(root) && edge.checkIssued(root), true);
    assert.equal(hub.checkHost("hub.local"), "hub.local");
    assert.equal(hub.checkHost("other.local"), undefined);
    for (const address of ["127.0.0.1", "::1", "fe80::1:2"]) assert.equal(hub.checkIP(address), address);
    assert.equal(hub.checkIP("127.0.0.2"), undefined);
    assert.equal(edge.subject, "CN=pi-7");
    assert.equal(edge.subjectAltName, "URI:urn:canfleet:edge:pi-7");
    assert.deepEqual([hub.keyUsage, edge.keyUsage], [["1.3.6.1.5.5.7.3.1"], ["1.3.6.1.5.5.7.3.2"]]);
    assert.notEqual(hub.serialNumber, edge.serialNumber);
  });

  it("let an edge in that the authority signed, in both directions of trust", async () => {
    assert.equal(await handshake(edgeKeys("pi-7")), "pi-7");
  });

  it("tell clients without, of another authority, out of date, and of the wrong kind", async () => {
    assert.match(await handshake({}), /^(Error: )?UNABLE_TO_GET_ISSUER_CERT$/);
    assert.match(await handshake(edgeKeys("pi-7", stranger)), /UNABLE_TO_VERIFY|CERT_SIGNATURE_FAILURE|UNABLE_TO_GET/);
    assert.equal(await handshake(edgeKeys("pi-7", authority, -0.5)), "CERT_HAS_EXPIRED");
    assert.match(await handshake({ cert: server.certificate, key: server.privateKey }), /INVALID_PURPOSE/);
  });

  it("let a client tell the hub from another authority's, another name's and an edge's", async () => {
    assert.match(
      await handshake({}, stranger.makeServer(["127.0.0.1"])),
      /UNABLE_TO_VERIFY|CERT_SIGNATURE_FAILURE|UNABLE_TO_GET/,
    );
    assert.equal(await handshake({}, authority.makeServer(["hub.local"])), "ERR_TLS_CERT_ALTNAME_INVALID");
    const { cert, key } = edgeKeys("pi-7");
    assert.match(await handshake({}, { certificate: cert, privateKey: key }), /INVALID_PURPOSE/);
  });

  it("refuse TLS 1.1", async () => {
    const old: ConnectionOptions = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    assert.match(await handshake(old), /PROTOCOL_VERSION|ECONNRESET|UNSUPPORTED_PROTOCOL/);
  });

  it("are not made for names that are none", () => {
    assert.throws(() => authority.makeServer([]), RangeError);
    for (const name of ["a b", "", "-a", "a/b", "hub\nlocal"])
      assert.throws(() => authority.makeServer([name]), RangeError);
    assert.throws(() => authority.signEdge("Pi 7", createPublicKey(makePrivateKey())), { code: "WIRE_BAD_TOPIC" });
  });

  it("are not signed with a key that is not the authority's", () => {
    const { certificate } = authority;
    assert.throws(() => new Authority({ certificate, privateKey: makePrivateKey() }), { code: "CONFIG_INVALID" });
    assert.throws(() => new Authority(server), { code: "CONFIG_INVALID" });
  });
});

describe("certificate requests", () => {
  const privateKey = createPrivateKey(makePrivateKey());
  const request = makeCertificateRequest("pi-7", privateKey);

  it("carry the key of whoever signed them", () => {
    assert.equal(readCertificateRequest(request).equals(createPublicKey(privateKey)), true);
  });

  it("are refused with another curve, another key's signature, or when they are none", () => {
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    assert.throws(() => readCertificateRequest(makeCertificateRequest("pi-7", p384)), /curve P-256/);
    const bytes = Buffer.from(request.replace(/-----.*-----|\n/g, ""), "base64");
    // A letter of the name: the signature covers it.
    bytes[bytes.indexOf("pi-7")]! ^= 1;
    assert.throws(() => readCertificateRequest(wrap(bytes)), /the signature is not by the key in it/);
    for (const text of ["", "pi-7", wrap(Buffer.alloc(8)), request.repeat(2), "A".repeat(100_000)])
      assert.throws(() => readCertificateRequest(text), { code: "WIRE_BAD_REQUEST" });
  });

  it("with any bytes changed or cut are refused, and nothing else happens", () => {
    const bytes = Buffer.from(request.replace(/-----.*-----|\n/g, ""), "base64");
    const changes = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean());
    fc.assert(
      fc.property(changes, ([at, flip, cut]) => {
        const bad = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
        if (!cut) bad[at]! ^= flip;
        assert.throws(
          () => readCertificateRequest(wrap(bad)),
          (error) => isCanfleetError(error, "WIRE_BAD_REQUEST"),
        );
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("DER", () => {
  it("has lengths in the shortest form and numbers without a sign", () => {
    assert.equal(sequence(Buffer.alloc(127)).subarray(0, 2).toString("hex"), "307f");
    assert.equal(sequence(Buffer.alloc(128)).subarray(0, 3).toString("hex"), "308180");
    assert.equal(sequence(Buffer.alloc(256)).subarray(0, 4).toString("hex"), "30820100");
    assert.equal(unsigned(Buffer.of(0, 0x80)).toString("hex"), "02020080");
    assert.equal(unsigned(Buffer.of(0)).toString("hex"), "020100");
  });

  it("writes years with two digits until 2049 and with four from then on", () => {
    assert.equal(time(new Date("2049-12-31T23:59:59Z")).subarray(2).toString(), "491231235959Z");
    assert.equal(time(new Date("2050-01-01T00:00:00Z")).subarray(2).toString(), "20500101000000Z");
  });

  it("is read as it was written, and any bytes end in values or a RangeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const [value] = readDer(sequence(bytes));
        assert.deepEqual(value!.contents, Buffer.from(bytes));
        try {
          readDer(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }),
    );
  });
});

function wrap(bytes: Buffer): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
}
